package qrtext_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"rsc.io/qr"

	"wafleet/infra/local/qrtext"
)

// modules reads a drawing back: true is black.
func modules(t *testing.T, drawing string) [][]bool {
	t.Helper()
	var rows [][]bool
	for line := range strings.Lines(drawing) {
		var upper, lower []bool
		for _, r := range strings.TrimSuffix(line, "\n") {
			upper = append(upper, r == ' ' || r == '▄')
			lower = append(lower, r == ' ' || r == '▀')
		}
		rows = append(rows, upper, lower)
	}
	return rows
}

func TestADrawingHasEveryModuleOfTheCode(t *testing.T) {
	t.Parallel()
	text := "2@" + strings.Repeat("AbC+/9,", 34)
	code, err := qr.Encode(text, qr.L)
	require.NoError(t, err)
	drawing, err := qrtext.Draw(text)
	require.NoError(t, err)

	rows := modules(t, drawing)
	require.GreaterOrEqual(t, len(rows), code.Size+4)
	for y, row := range rows {
		require.Len(t, row, code.Size+4, "with two modules of margin on each side")
		for x, black := range row {
			require.Equal(t, code.Black(x-2, y-2), black, "module %d,%d", x-2, y-2)
		}
	}
}

func TestADrawingFitsATerminal(t *testing.T) {
	t.Parallel()
	drawing, err := qrtext.Draw("2@" + strings.Repeat("x", 235)) // as long as WhatsApp's are
	require.NoError(t, err)
	line, _, _ := strings.Cut(drawing, "\n")
	require.LessOrEqual(t, utf8.RuneCountInString(line), 80)
}

func TestATextThatIsTooLong(t *testing.T) {
	t.Parallel()
	_, err := qrtext.Draw(strings.Repeat("x", 5000))
	require.ErrorContains(t, err, "encode QR")
}
