package phone_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/phone"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"bare digits":       {"79001234567", "79001234567"},
		"punctuation":       {"+7 (900) 123-45.67", "79001234567"},
		"ten digits":        {"1234567890", "1234567890"},
		"fifteen digits":    {"123456789012345", "123456789012345"},
		"nine digits":       {"123456789", ""},
		"sixteen digits":    {"1234567890123456", ""},
		"letters":           {"7900123456a", ""},
		"arabic digits":     {"٧٩٠٠١٢٣٤٥٦٧", ""},
		"full-width digits": {"７９００１２３４５６７", ""},
		"tab":               {"7900\t1234567", ""},
		"empty":             {"", ""},
		"only punctuation":  {"+-(). ", ""},
		"a jid":             {"79001234567@s.whatsapp.net", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := phone.Normalize(tc.in)
			require.Equal(t, tc.want, got)
			if tc.want == "" {
				require.ErrorIs(t, err, phone.ErrInvalid)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("+7 900 123-45-67")
	f.Add("x")
	f.Fuzz(func(t *testing.T, in string) {
		digits, err := phone.Normalize(in)
		if err != nil {
			require.Empty(t, digits)
			return
		}
		require.Regexp(t, `^[0-9]{10,15}$`, digits)
		again, err := phone.Normalize(digits)
		require.NoError(t, err)
		require.Equal(t, digits, again)
	})
}

func TestRedact(t *testing.T) {
	t.Parallel()
	require.Equal(t, "790***67", phone.Redact("79001234567"))
	require.Equal(t, "***", phone.Redact("12345"))
	require.Equal(t, "***", phone.Redact(""))
}
