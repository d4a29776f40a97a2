package wa

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
)

// Of whatsmeow's lines only the template is logged: its arguments are numbers, ids and stanzas.
func TestTheLogNamesNobody(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var warned []string
	b := bridge{
		logger: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime})),
		onWarn: func(template string) { warned = append(warned, template) },
	}
	jid := types.NewJID("79001111111", types.DefaultUserServer)
	cause := errors.Join(errors.New("79001111111 is not here"), context.Canceled)
	for _, log := range []interface {
		Debugf(msg string, args ...any)
		Infof(msg string, args ...any)
		Warnf(msg string, args ...any)
		Errorf(msg string, args ...any)
	}{b, b.Sub("Client").Sub("Recv")} {
		log.Debugf("got %s", jid)
		log.Infof("from %s", jid)
		log.Warnf("cannot decrypt %s of %v: %v", "3EB0C0FFEE", jid, cause)
		log.Errorf("lost %v", []types.JID{jid})
	}
	text := out.String()
	require.NotContains(t, text, "79001111111")
	require.NotContains(t, text, "3EB0C0FFEE")
	require.NotContains(t, text, "got %s")
	require.NotContains(t, text, "from %s")
	require.Contains(t, text, `"msg":"whatsmeow","module":"","template":"cannot decrypt %s of %v: %v","cause":"*errors.joinError"`)
	require.Contains(t, text, `"level":"ERROR","msg":"whatsmeow","module":"Recv","template":"lost %v"`)
	b.Sub("Socket").Errorf("Error reading from websocket: %v", cause)
	require.Contains(t, out.String(), `"level":"DEBUG","msg":"whatsmeow","module":"Socket"`, "how sockets end is no news")
	require.Equal(t, []string{"cannot decrypt %s of %v: %v", "cannot decrypt %s of %v: %v"}, warned)
}
