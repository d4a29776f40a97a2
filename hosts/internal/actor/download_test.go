package actor_test

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// picture is an incoming message with a file.
func picture(id, path string) actor.Incoming {
	in := incoming(id, id)
	in.Said = message.Said{Kind: message.Image, Media: &message.Media{MimeType: "image/jpeg", Size: 5}}
	in.File = &actor.File{MimeType: "image/jpeg", Name: "cat.jpg", DirectPath: path, Key: []byte("key"), SHA256: []byte{1}, MessageID: id}
	return in
}

// received stores a message with a file and returns the file's id.
func (b *bundle) received(t *testing.T, c *conn, in actor.Incoming) string {
	t.Helper()
	require.NoError(t, c.Receive(t.Context(), in))
	_, told := b.told(t)
	require.NotEmpty(t, told.Media.ID)
	return told.Media.ID
}

// ask wants a file, as the API does.
func (b *bundle) ask(t *testing.T, mediaID string) string {
	t.Helper()
	row, err := b.store.Queries().WantMedia(t.Context(), b.store.Pool(), db.WantMediaParams{CompanyID: company, MediaID: mediaID})
	require.NoError(t, err)
	b.fleet.Reconcile(t.Context(), company)
	return row.State
}

func (b *bundle) awaitFile(t *testing.T, mediaID, want string) {
	t.Helper()
	var got string
	require.Eventually(t, func() bool {
		err := b.store.Pool().QueryRow(t.Context(), `SELECT state || '/' || reason FROM received_media WHERE media_id = $1`, mediaID).Scan(&got)
		return err == nil && got == want
	}, await, 5*time.Millisecond, "%s, is %s", want, &got)
}

func (b *bundle) bytesOf(t *testing.T, mediaID string) string {
	t.Helper()
	body, _, err := b.media.Open(t.Context(), media.Key(company, mediaID))
	require.NoError(t, err)
	defer func() { require.NoError(t, body.Close()) }()
	all, err := io.ReadAll(body)
	require.NoError(t, err)
	return string(all)
}

func TestAFileIsFetchedWhenSomebodyAsks(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	id := b.received(t, c, picture("A", "/v/1"))
	b.awaitFile(t, id, "known/")
	require.Equal(t, "wanted", b.ask(t, id))
	b.awaitFile(t, id, "stored/")
	require.Equal(t, "bytes at /v/1", b.bytesOf(t, id))
	require.Equal(t, "wanted", b.ask(t, id), "who asks does not find it in the store any more")
	b.awaitFile(t, id, "stored/")
	kept, err := b.store.UseMedia(t.Context(), company, id)
	require.NoError(t, err, "it can be served, and sent on")
	require.Equal(t, "cat.jpg", kept.FileName)
	require.Equal(t, int64(len("bytes at /v/1")), kept.Size)
}

func TestAFileIsFetchedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE companies SET whatsapp_config = '{"autoDownload": true}'`)
	require.NoError(t, err)
	c := b.online(t)
	var ids []string
	for i := range 20 { // more than a page
		ids = append(ids, b.received(t, c, picture(fmt.Sprint("A", i), fmt.Sprint("/v/", i))))
	}
	for i, id := range ids {
		b.awaitFile(t, id, "stored/")
		require.Equal(t, fmt.Sprint("bytes at /v/", i), b.bytesOf(t, id))
	}
}

// What was asked for while the session was away is fetched when it is back, by whichever host has it then.
func TestAFileThatIsWantedOffline(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	id := b.received(t, c, picture("A", "/v/1"))
	require.NoError(t, b.fleet.Stop(t.Context()))
	b.ask(t, id)
	b.awaitFile(t, id, "wanted/")
	b.own(t, quick)
	c = b.AwaitDial(t)
	c.Signal(connected())
	b.awaitFile(t, id, "stored/")
}

// A file that WhatsApp has no more is asked for on its sender's phone, and fetched from where that put it.
func TestAFileThatExpired(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	b.set(func(s *script) {
		s.OnDownload = func(f actor.File) error {
			if f.DirectPath == "/v/old" {
				return actor.ErrFileGone
			}
			return nil
		}
	})
	id := b.received(t, c, picture("A", "/v/old"))
	b.ask(t, id)
	require.Equal(t, "A", (<-b.asked).MessageID)
	b.awaitFile(t, id, "asked/gone")
	require.NoError(t, c.Reupload(t.Context(), actor.Reupload{WAMessageID: "unknown", Open: func([]byte) (string, error) { return "/v/evil", nil }}))
	require.NoError(t, c.Reupload(t.Context(), actor.Reupload{WAMessageID: "A", Open: func(key []byte) (string, error) {
		require.Equal(t, "key", string(key))
		return "/v/new", nil
	}}))
	b.awaitFile(t, id, "stored/")
	require.Equal(t, "bytes at /v/new", b.bytesOf(t, id))

	id = b.received(t, c, picture("B", "/v/old"))
	b.ask(t, id)
	<-b.asked
	b.awaitFile(t, id, "asked/gone")
	require.NoError(t, c.Reupload(t.Context(), actor.Reupload{WAMessageID: "B", Open: func([]byte) (string, error) { return "", errors.New("deleted") }}))
	b.awaitFile(t, id, "failed/gone")
	require.Equal(t, "failed", b.ask(t, id), "not again so soon")
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE received_media SET due_at = now()`)
	require.NoError(t, err)
	require.Equal(t, "wanted", b.ask(t, id))
}

func TestAFileThatCannotBeHad(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	var tries atomic.Int32
	b.set(func(s *script) {
		s.OnDownload = func(f actor.File) error {
			tries.Add(1)
			if f.DirectPath == "/v/damaged" {
				return actor.ErrFileDamaged
			}
			return errors.New("server is away")
		}
	})
	id := b.received(t, c, picture("A", "/v/damaged"))
	b.ask(t, id)
	b.awaitFile(t, id, "failed/damaged")
	require.Equal(t, int32(1), tries.Load())

	id = b.received(t, c, picture("B", "/v/away"))
	b.ask(t, id)
	b.awaitFile(t, id, "wanted/unreachable")
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE received_media SET attempt = 5, due_at = now() WHERE media_id = $1`, id)
	require.NoError(t, err)
	b.awaitFile(t, id, "failed/unreachable")

	large := picture("C", "/v/large")
	large.File.Size = media.MaxSize + 1
	id = b.received(t, c, large)
	before := tries.Load()
	b.ask(t, id)
	b.awaitFile(t, id, "failed/damaged")
	require.Equal(t, before, tries.Load(), "nothing is fetched that will not be kept")

	id = b.received(t, c, picture("D", "/v/1"))
	_, err = b.store.Pool().Exec(t.Context(), `UPDATE received_media SET sealed_reference = 'garbage' WHERE media_id = $1`, id)
	require.NoError(t, err)
	b.ask(t, id)
	b.awaitFile(t, id, "failed/unreadable")
}

// A host that ends in the middle of a download leaves it to the next one.
func TestADownloadThatIsCutOff(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	begun, release := make(chan struct{}), make(chan struct{})
	b.set(func(s *script) {
		s.OnDownload = func(actor.File) error {
			close(begun)
			<-release
			return errors.New("closed")
		}
	})
	id := b.received(t, c, picture("A", "/v/1"))
	b.ask(t, id)
	<-begun
	b.set(func(s *script) { s.OnDownload = nil })
	stopped := make(chan error)
	go func() { stopped <- b.fleet.Stop(t.Context()) }()
	close(release)
	require.NoError(t, <-stopped)
	b.own(t, quick)
	c = b.AwaitDial(t)
	c.Signal(connected())
	b.awaitFile(t, id, "stored/")
}
