package qrtext

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// margin is the quiet zone around a code, in modules; scanners want four and are content with two.
const margin = 2

// halves are the characters for two modules, one above the other, by which of them are black. Terminals write light on
// dark, so a full block is white.
var halves = map[[2]bool]string{
	{false, false}: "█",
	{false, true}:  "▀",
	{true, false}:  "▄",
	{true, true}:   " ",
}

// Draw returns the code of a text, as lines that each end with a newline. It is an error if the text is too long.
func Draw(text string) (string, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("encode QR: %w", err)
	}
	var b strings.Builder
	for y := -margin; y < code.Size+margin; y += 2 {
		for x := -margin; x < code.Size+margin; x++ {
			b.WriteString(halves[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}
