package message_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

func TestIsOptOut(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"STOP", "stop", " Stop\n", "СТОП", "стоп", "Отписка", "baja", "PARAR", "sair", "\tUnsubscribe ", " stop\u00a0",
	} {
		require.True(t, message.IsOptOut(text), "%q", text)
	}
	for _, text := range []string{
		"", " ", "STOP!", "stop it", "please stop", "ST OP", "STOPP", "STОP", "\"stop\"", "stop.", "отписка стоп", "end",
	} { // STОP has a Cyrillic letter
		require.False(t, message.IsOptOut(text), "%q", text)
	}
}
