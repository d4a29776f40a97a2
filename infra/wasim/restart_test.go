package wasim_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
	"wafleet/infra/wasim/wasimclient"
)

func TestEverythingSurvivesARestart(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	off := false
	b.phone(t, boris, "Boris")
	const carol = "79005550000"
	_, err := b.AddPhone(t.Context(), wasim.NewPhone{Phone: carol, Name: "Carol", Online: &off, AutoDelivery: &off})
	require.NoError(t, err)
	company := b.pair(t, anna)
	company.text(t, boris, "before")
	b.awaitText(t, boris, "before")
	_, err = b.SendText(t.Context(), boris, anna, "re before")
	require.NoError(t, err)
	awaitIncoming(t, company, "re before")
	company.text(t, carol, "for later")
	requireEmptyBox(t, b, anna)
	company.Disconnect()
	_, err = b.SendText(t.Context(), boris, anna, "missed")
	require.NoError(t, err)
	b.awaitText(t, anna, "missed") // At the phone of the company.
	before, err := b.Phone(anna)
	require.NoError(t, err)

	b = b.restart(t)
	after, err := b.Phone(anna)
	require.NoError(t, err)
	require.Equal(t, before, after)
	row := b.awaitText(t, boris, "before")
	require.Equal(t, anna, row.From)
	company.login(t)
	awaitIncoming(t, company, "missed")
	company.text(t, boris, "after")
	b.awaitText(t, boris, "after")
	_, err = b.SendText(t.Context(), boris, anna, "re after")
	require.NoError(t, err)
	awaitIncoming(t, company, "re after")
	rows, err := b.Messages(carol)
	require.NoError(t, err)
	require.Empty(t, rows)
	require.NoError(t, b.SetOnline(t.Context(), carol, true))
	b.awaitText(t, carol, "for later")
	require.Zero(t, b.Stats().Undecryptable, "no ratchet went back")
	b.noneUnhandled(t)

	_, err = b.AddPhone(t.Context(), wasim.NewPhone{Phone: anna})
	require.ErrorIs(t, err, wasim.ErrConflict)
	require.NoError(t, b.Unlink(t.Context(), anna, 1))
	b = b.restart(t)
	phone, err := b.Phone(anna)
	require.NoError(t, err)
	require.Empty(t, phone.Companions)
}

func TestDuplicatesAreKnownAfterARestart(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	id := company.text(t, boris, "once")
	company.Disconnect()
	b = b.restart(t)
	company.login(t)
	resend(t, company, id, "once")
	company.text(t, boris, "end")
	b.awaitText(t, boris, "end")
	rows, err := b.Messages(boris)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, uint64(1), b.Stats().Duplicates)
}

// serverVariable makes the test binary the simulator itself, in the folder that it names, so that it can be killed.
const serverVariable = "WASIM_TEST_SERVER"

// runServer is the simulator in a process of its own. It prints its addresses and lives until it is killed.
func runServer(dir string) {
	server, err := wasim.New(wasim.Options{
		DataDir: dir, Listen: os.Getenv("WASIM_TEST_LISTEN"), Control: "127.0.0.1:0",
	})
	if err == nil {
		err = server.Start(context.Background())
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stdout, "error:", err)
		os.Exit(1)
	}
	_, _ = fmt.Fprintln(os.Stdout, server.Endpoint(), server.ControlURL())
	select {}
}

// process is a simulator that can be killed.
type process struct {
	*exec.Cmd

	endpoint, control string
}

func startProcess(t testing.TB, dir, listen string) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(context.Background(), os.Args[0])}
	p.Env = append(os.Environ(), serverVariable+"="+dir, "WASIM_TEST_LISTEN="+listen)
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(p.kill)
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	var ok bool
	p.endpoint, p.control, ok = strings.Cut(lines.Text(), " ")
	require.True(t, ok, lines.Text())
	return p
}

func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

func (p *process) call(t testing.TB, method, path, body string, into any) {
	t.Helper()
	require.NoError(t, p.request(t.Context(), method, path, body, into))
}

func (p *process) request(ctx context.Context, method, path, body string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, p.control+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		answer, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// pairAt links a whatsmeow client to a phone of the process.
func (p *process) pairAt(t testing.TB, http *http.Client, number string) *client {
	t.Helper()
	c := (&bundle{http: http}).newClient(t)
	require.NoError(t, c.Connect())
	qr := await[*events.QR](t, c, nil)
	p.call(t, "POST", "/phones/"+number+"/scan", fmt.Sprintf(`{"qr":%q}`, qr.Codes[0]), nil)
	await[*events.Connected](t, c, nil)
	return c
}

// TestNothingIsLostByAKill kills the simulator again and again while a company and a phone write to each other. What was
// acknowledged must be there in the end, once, and no ratchet may have gone back.
func TestNothingIsLostByAKill(t *testing.T) {
	t.Parallel()
	dir := keepCredentials(t)
	p := startProcess(t, dir, "127.0.0.1:0")
	for _, number := range []string{anna, boris} {
		p.call(t, http.MethodPost, "/phones", fmt.Sprintf(`{"phone":%q}`, number), nil)
	}
	var root struct{ CAPEM string }
	p.call(t, http.MethodGet, "/root", "", &root)
	client, err := wasimclient.New(p.endpoint, []byte(root.CAPEM))
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	company := p.pairAt(t, client, anna)

	var sent, written []string
	for round := range 5 {
		for i := range 10 {
			text := fmt.Sprintf("c%d.%d", round, i)
			company.text(t, boris, text)
			sent = append(sent, text)
			text = fmt.Sprintf("p%d.%d", round, i)
			p.call(t, http.MethodPost, "/phones/"+boris+"/messages", fmt.Sprintf(`{"to":%q,"text":%q}`, anna, text), nil)
			written = append(written, text)
			if i < 9 { // whatsmeow loses ratchets if it encrypts and decrypts at the same time.
				awaitIncoming(t, company, text)
			}
		}
		p.kill() // With the last message and its receipts anywhere.
		await[*events.Disconnected](t, company, nil)
		p = startProcess(t, dir, p.endpoint)
		company.mu.Lock()
		company.events = append([]any(nil), filter(company.events)...)
		company.mu.Unlock()
		require.NoError(t, company.Connect())
		await[*events.Connected](t, company, nil)
		awaitIncoming(t, company, written[len(written)-1])
	}
	require.Equal(t, len(written), count[*events.Message](company, nil))
	got := func() (texts []string) {
		var rows []wasim.Message
		p.call(t, http.MethodGet, "/phones/"+boris+"/messages", "", &rows)
		for _, row := range rows {
			texts = append(texts, row.Text)
		}
		return texts
	}
	for until := time.Now().Add(patience); len(got()) < len(sent) && time.Now().Before(until); {
		runtime.Gosched() // The calls take their time.
	}
	require.Equal(t, sent, got())
	var stats wasim.Stats
	p.call(t, http.MethodGet, "/stats", "", &stats)
	require.Zero(t, stats.Undecryptable)
	require.Zero(t, count[*events.UndecryptableMessage](company, nil))
}

// TestKilledInTheMiddle kills the simulator at any moment while phones write to each other both ways, several at a time.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	dir := keepCredentials(t)
	p := startProcess(t, dir, "127.0.0.1:0")
	for _, number := range []string{anna, boris} {
		p.call(t, http.MethodPost, "/phones", fmt.Sprintf(`{"phone":%q}`, number), nil)
	}
	acknowledged := map[string]map[string]bool{anna: {}, boris: {}} // By the number of the recipient.
	for round := range 6 {
		var mu sync.Mutex
		var writers sync.WaitGroup
		var once sync.Once
		enough := make(chan struct{})
		for w := range 4 {
			from, to := anna, boris
			if w%2 == 1 {
				from, to = boris, anna
			}
			writers.Go(func() {
				for i := 0; ; i++ {
					text := fmt.Sprintf("%d.%d.%d", round, w, i)
					err := p.request(context.Background(), http.MethodPost, "/phones/"+from+"/messages",
						fmt.Sprintf(`{"to":%q,"text":%q}`, to, text), nil)
					if err != nil {
						return // Killed; nobody knows what became of this one.
					}
					mu.Lock()
					acknowledged[to][text] = true
					if len(acknowledged[to]) >= 20*(round+1) {
						once.Do(func() { close(enough) })
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		p.kill()
		writers.Wait()
		p = startProcess(t, dir, p.endpoint)
	}
	for number, texts := range acknowledged {
		var rows []wasim.Message
		require.Eventually(t, func() bool {
			var phone wasim.Phone
			p.call(t, http.MethodGet, "/phones/"+number, "", &phone)
			p.call(t, http.MethodGet, "/phones/"+number+"/messages", "", &rows)
			return phone.Waiting == 0
		}, patience, 10*time.Millisecond)
		listed := map[string]int{}
		for _, row := range rows {
			listed[row.Text]++
		}
		for text := range texts {
			require.Equal(t, 1, listed[text], "%s at %s", text, number)
		}
	}
	var stats wasim.Stats
	p.call(t, http.MethodGet, "/stats", "", &stats)
	require.Zero(t, stats.Undecryptable)
}

// filter keeps the messages among events.
func filter(all []any) (kept []any) {
	for _, event := range all {
		switch event.(type) {
		case *events.Message, *events.UndecryptableMessage:
			kept = append(kept, event)
		}
	}
	return kept
}
