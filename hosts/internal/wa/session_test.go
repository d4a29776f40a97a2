package wa

import (
	"context"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"go.mau.fi/whatsmeow/util/keys"

	"wafleet/hosts/internal/actor"
	"wafleet/infra/wasim"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

func TestPairingByQR(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.connect(t)
	codes := l.await(t, then(actor.ShowQR)).Codes
	require.Len(t, codes, 6)
	_, err := whatsapp.Scan(t.Context(), l.number, codes[0])
	require.NoError(t, err)
	l.logIn(t)
	require.Contains(t, l.jid, l.number+":")
	phone, err := whatsapp.Phone(l.number)
	require.NoError(t, err)
	require.Len(t, phone.Companions, 1)
	require.Equal(t, l.jid, phone.Companions[0].JID)
	require.True(t, phone.Companions[0].Connected)
	require.Positive(t, phone.Companions[0].PreKeys)

	l.hang()
	s := l.reconnect(t) // the same connection dials again
	require.Equal(t, session.Connected, s.State)
	require.Equal(t, webhook.SessionConnected, s.Event)
	require.Equal(t, l.jid, s.JID)
	require.Equal(t, phone.LID+"@lid", s.LID)
}

func TestPairingByCode(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.connect(t)
	l.await(t, then(actor.ShowQR))
	code, err := l.RequestPairingCode(t.Context(), l.number)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9A-Z]{4}-[0-9A-Z]{4}$`, code)
	_, err = whatsapp.EnterCode(t.Context(), l.number, code)
	require.NoError(t, err)
	l.logIn(t)
}

func TestACodeCannotBeHadOffline(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	_, err := l.RequestPairingCode(t.Context(), l.number)
	require.ErrorContains(t, err, "request pairing code")
}

// The owner may refuse the number: the phone learns of it, nothing is linked, and the keys cannot be loaded.
func TestARefusedPairing(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.onBind = func() error { return errors.New("the number belongs to another company") }
	l.connect(t)
	codes := l.await(t, then(actor.ShowQR)).Codes
	_, _ = whatsapp.Scan(t.Context(), l.number, codes[0]) // the phone learns of it or not; the owner must
	s := l.await(t, then(actor.Halt))
	require.Equal(t, session.Failed, s.State)
	require.Equal(t, "pairing_failed", s.Reason)
	require.Equal(t, session.ActionRelink, s.Action)
	require.Empty(t, l.jid)
}

// The owner may refuse a number before anything is stored, and the reason is what the user is told.
func TestANumberThatIsNotAdmitted(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	asked := make(chan string, 1)
	l.onAdmit = func(phone string) string {
		asked <- phone
		return "number_taken"
	}
	l.onBind = func() error { return errors.New("must not be asked") }
	l.connect(t)
	codes := l.await(t, then(actor.ShowQR)).Codes
	_, _ = whatsapp.Scan(t.Context(), l.number, codes[0]) // the phone learns of it or not; the owner must
	s := l.await(t, then(actor.Halt))
	require.Equal(t, l.number, <-asked)
	require.Equal(t, session.Failed, s.State)
	require.Equal(t, "number_taken", s.Reason)
}

// A server that takes frames and answers none: the ping says so within its deadline.
func TestADeafServer(t *testing.T) {
	t.Parallel()
	l := paired(t)
	ping := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		return l.Ping(ctx)
	}
	require.Eventually(t, func() bool { return ping() == nil }, await, time.Millisecond)
	l.fault(t, wasim.Deaf)
	require.ErrorIs(t, ping(), context.DeadlineExceeded)
	l.await(t, then(actor.Suspect)) // whatsmeow's own ping found it out as well
}

// The version of a connect is the dialer's at that moment, whatever whatsmeow was built with.
func TestTheVersionOfAConnect(t *testing.T) {
	t.Parallel()
	d := &Dialer{}
	built := store.GetWAVersion()
	require.Equal(t, built.String(), d.Version())
	c := &Conn{}
	jid := types.NewJID("79000000001", types.DefaultUserServer)
	paired, fresh := &store.Device{ID: &jid}, unpairedDevice()
	require.Equal(t, built[2], c.introduce(paired, d).GetUserAgent().GetAppVersion().GetTertiary())

	require.Error(t, d.UseVersion("latest"))
	require.NoError(t, d.UseVersion("2.3000.1234"))
	require.Equal(t, "2.3000.1234", d.Version())
	require.EqualValues(t, 1234, c.introduce(paired, d).GetUserAgent().GetAppVersion().GetTertiary())
	require.Equal(t, "2.3000.1234", c.introduced())
	hash := store.WAVersionContainer{2, 3000, 1234}.Hash()
	require.Equal(t, hash[:], c.introduce(fresh, d).GetDevicePairingData().GetBuildHash())
	require.Equal(t, built, store.GetWAVersion(), "whatsmeow's own is left alone")
}

// What WhatsApp says when a socket ends is told as the table has it.
func TestHowASocketCanEnd(t *testing.T) {
	t.Parallel()
	for kind, tc := range map[wasim.FaultKind]struct {
		state  session.State
		reason string
		then   actor.Then
	}{
		wasim.Drop:         {session.Reconnecting, "connection_lost", actor.Retry},
		wasim.Stream503:    {session.Reconnecting, "connection_lost", actor.Retry},
		wasim.Replaced:     {session.Reconnecting, "stream_replaced", actor.Yield},
		wasim.Restart515:   {"", "", actor.Redial},
		wasim.LoggedOut401: {session.LoggedOut, "device_removed", actor.Halt},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			l := paired(t)
			l.fault(t, kind)
			s := l.await(t, func(s actor.Signal) bool {
				return s.Then == actor.Retry || s.Then == actor.Redial || s.Then == actor.Halt || s.Then == actor.Yield
			})
			require.Equal(t, tc.state, s.State)
			require.Equal(t, tc.reason, s.Reason)
			require.Equal(t, tc.then, s.Then)
			l.hang()
			if tc.then != actor.Halt {
				l.reconnect(t)
				return
			}
			// whatsmeow deletes the device while it tells of that.
			require.Eventually(t, func() bool {
				_, err := l.dialer(t).Open(t.Context(), l.owner(l.jid), l.handlers())
				return errors.Is(err, actor.ErrNoDevice)
			}, await, time.Millisecond)
		})
	}
}

// A login that is refused says for how long, and for whom there is something to do.
func TestHowALoginCanBeRefused(t *testing.T) {
	t.Parallel()
	for kind, tc := range map[wasim.FaultKind]struct {
		state  session.State
		action session.UserAction
		then   actor.Then
	}{
		wasim.TempBan402:  {session.Banned, session.ActionWait, actor.Pause},
		wasim.Locked403:   {session.LoggedOut, session.ActionRelink, actor.Halt},
		wasim.Outdated405: {session.Reconnecting, "", actor.Renew},
		wasim.Refuse503:   {session.Reconnecting, "", actor.Retry},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			l := paired(t)
			l.hang()
			l.fault(t, kind)
			l.connect(t)
			s := l.await(t, func(s actor.Signal) bool { return s.State != "" })
			require.Equal(t, tc.state, s.State)
			require.Equal(t, tc.action, s.Action)
			require.Equal(t, tc.then, s.Then)
			if kind == wasim.Outdated405 {
				require.Equal(t, l.dialer(t).Version(), s.Version)
			}
			if kind == wasim.TempBan402 {
				require.Positive(t, s.After)
			}
		})
	}
}

func TestLogoutUnlinksTheDevice(t *testing.T) {
	t.Parallel()
	l := paired(t)
	require.NoError(t, l.Logout(t.Context()))
	require.Eventually(t, func() bool {
		phone, err := whatsapp.Phone(l.number)
		return err == nil && len(phone.Companions) == 0
	}, await, time.Millisecond)
	_, err := l.dialer(t).Open(t.Context(), l.owner(l.jid), l.handlers())
	require.ErrorIs(t, err, actor.ErrNoDevice)
	require.ErrorIs(t, newLine(t).Logout(t.Context()), whatsmeow.ErrNotLoggedIn)
}

// A phone that cannot be told keeps its link, and we our keys.
func TestALogoutThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	l := paired(t)
	l.hang()
	require.ErrorContains(t, l.Logout(t.Context()), "log out")
	l.open(t)
	l.reconnect(t)
}

func TestKeysThatAreNotThere(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	for _, jid := range []string{"79019999999:1@s.whatsapp.net", "nonsense"} {
		_, err := l.dialer(t).Open(t.Context(), l.owner(jid), l.handlers())
		require.ErrorIs(t, err, actor.ErrNoDevice)
	}
}

// A store that is away is not a device that is gone.
func TestADeviceStoreThatIsAway(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	d := l.dialer(t)
	l.database.Pool.Close()
	_, err := d.Open(t.Context(), l.owner("79019999999:1@s.whatsapp.net"), l.handlers())
	require.ErrorContains(t, err, "load device")
	require.NotErrorIs(t, err, actor.ErrNoDevice)
}

// One that is damaged is told from both.
func TestKeysThatAreUnreadable(t *testing.T) {
	t.Parallel()
	l := paired(t)
	l.hang()
	_, err := l.database.Pool.Exec(t.Context(), "UPDATE devices SET sealed_keys = 'damaged'")
	require.NoError(t, err)
	_, err = l.dialer(t).Open(t.Context(), l.owner(l.jid), l.handlers())
	require.ErrorIs(t, err, actor.ErrDeviceUnreadable)
	require.NotErrorIs(t, err, actor.ErrNoDevice)
}

// whatsmeow says that it connected also when the stream ended while it was settling in.
func TestALoginThatIsOverIsNotTold(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	require.True(t, l.handle(&events.Connected{}))
	require.Empty(t, l.signals)
	require.False(t, l.online())
}

// A server that takes the connection and says nothing must not hold up whoever gives up on it.
func TestABlackHole(t *testing.T) {
	t.Parallel()
	var hole net.ListenConfig
	listener, err := hole.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	ways, err := newWays(Config{Endpoint: listener.Addr().String()})
	require.NoError(t, err)
	c := newConn(&store.Device{}, ways, nil, actor.Handlers{}, slog.New(slog.DiscardHandler))
	life, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	dialled := make(chan error, 1)
	go func() { dialled <- c.Connect(life) }()
	taken, err := listener.Accept()
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()

	start := time.Now()
	hangUp() // first, as an actor does while it dials: Close waits for the dial
	c.Close()
	require.ErrorIs(t, <-dialled, context.Canceled)
	require.Less(t, time.Since(start), tlsTimeout/2)
}

func TestUseLatestVersion(t *testing.T) {
	t.Parallel()
	page := `{"client_revision":1999999999,"x":1}`
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) }))
	t.Cleanup(server.Close)
	// The certificate is for example.com, so that this one connection is checked against that name.
	ways, err := newWays(Config{
		Endpoint: server.Listener.Addr().String(),
		RootCA:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	})
	require.NoError(t, err)
	ways.media.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com" //nolint:forcetypeassert // it is
	t.Cleanup(ways.media.CloseIdleConnections)
	d := &Dialer{ways: ways, logger: shared.logger}

	version, err := d.UseLatestVersion(t.Context())
	require.NoError(t, err)
	require.Equal(t, "2.3000.1999999999", version)
	require.Equal(t, version, d.Version())

	for name, bad := range map[string]string{"none": "<html>", "nonsense": `{"client_revision":99999999999999999999,}`} {
		page = bad
		_, err = d.UseLatestVersion(t.Context())
		require.ErrorContains(t, err, "fetch WhatsApp's version", name)
		require.Equal(t, version, d.Version(), "what is known stays")
	}
}

func TestBadRootCA(t *testing.T) {
	t.Parallel()
	_, err := NewDialer(nil, Config{RootCA: []byte("not PEM")}, shared.logger)
	require.ErrorIs(t, err, errBadRootCA)
}

// Without a root of their own, connections trust whom the system trusts, and never the simulator.
func TestWhatsAppIsNotTakenOnTrust(t *testing.T) {
	t.Parallel()
	ways, err := newWays(Config{Endpoint: whatsapp.Endpoint()})
	require.NoError(t, err)
	c := newConn(&store.Device{}, ways, nil, actor.Handlers{}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, c.Connect(t.Context()), "certificate")
	c.Close()
}

// unpairedDevice has what a registration needs.
func unpairedDevice() *store.Device {
	identity := keys.NewKeyPair()
	return &store.Device{IdentityKey: identity, SignedPreKey: identity.CreateSignedPreKey(1), RegistrationID: 1}
}
