package actor

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"sync"
	"time"

	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

const (
	// maxDownloads is how many files a host fetches at a time, whichever companies they are for.
	maxDownloads = 8
	// downloadTimeout bounds one attempt at a file, its way into the store included.
	downloadTimeout = 5 * time.Minute
	// maxDownloadAttempts is how often a file is tried until somebody asks for it again.
	maxDownloadAttempts = 6
	// answerTimeout is how long the sender's phone, which may be switched off, has to upload a file again. WhatsApp keeps
	// the question for it.
	answerTimeout = 10 * time.Minute
	// failedPause is how long a file that could not be had is left alone.
	failedPause  = time.Minute
	downloadPage = 8
	retryFile    = 2 * time.Second
)

// downloads fetches the files of a company's messages, one after the other, while the session is online. What is to be
// fetched is in Postgres (received_media), so that it outlives whoever was told. Its goroutine exists only while there
// is something to fetch.
type downloads struct {
	actor *Actor

	mu       sync.Mutex
	conn     Conn // nil while offline
	stopping bool
	again    bool               // a kick came while running
	idle     chan struct{}      // closed when the goroutine ended; nil if none runs
	cancel   context.CancelFunc // ends what the goroutine is at
}

func (d *downloads) online(conn Conn) {
	d.mu.Lock()
	d.conn = conn
	d.mu.Unlock()
	d.kick()
}

func (d *downloads) offline() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = nil
}

// stop gives up the file in hand, which the next owner fetches.
func (d *downloads) stop() {
	d.mu.Lock()
	d.stopping = true
	idle := d.idle
	if d.cancel != nil {
		d.cancel()
	}
	d.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

// kick starts the goroutine, or makes the running one look again.
func (d *downloads) kick() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.conn == nil || d.stopping || d.actor.media == nil:
	case d.idle != nil:
		d.again = true
	default:
		d.idle = make(chan struct{})
		d.actor.workers.Go(d.run)
	}
}

func (d *downloads) run() {
	ctx, cancel := context.WithCancel(context.Background()) // ends with stop
	defer cancel()
	d.mu.Lock()
	d.cancel = cancel
	d.mu.Unlock()
	for {
		if err := d.drain(ctx); errors.Is(err, store.ErrFenced) {
			d.actor.fenced(ctx, "download")
		} else if err != nil && ctx.Err() == nil {
			d.actor.logger.WarnContext(ctx, "fetch files", "error", err) // the fleet's poll kicks again
		}
		d.mu.Lock()
		if !d.again || d.stopping || d.conn == nil {
			close(d.idle)
			d.idle, d.cancel = nil, nil
			d.mu.Unlock()
			return
		}
		d.again = false
		d.mu.Unlock()
	}
}

// current is the connection to fetch through, or nil when there is none any more.
func (d *downloads) current() Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping {
		return nil
	}
	return d.conn
}

// drain fetches until nothing is due.
func (d *downloads) drain(ctx context.Context) error {
	a := d.actor
	for {
		page, err := a.store.Queries().ListWantedMedia(ctx, a.store.Pool(), db.ListWantedMediaParams{
			CompanyID: a.companyID, Shard: a.fence.Shard, PageSize: downloadPage,
		})
		if err != nil {
			return fmt.Errorf("list wanted files: %w", err)
		}
		for i := range page {
			conn := d.current()
			if conn == nil {
				return nil
			}
			if err := a.fetch(ctx, conn, &page[i]); err != nil {
				return err
			}
		}
		if len(page) < downloadPage {
			return nil
		}
	}
}

// fetch makes one attempt at a file. An error is the database's; what became of the file is in its row.
func (a *Actor) fetch(ctx context.Context, conn Conn, row *db.ListWantedMediaRow) error {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return fmt.Errorf("wait for a free download: %w", ctx.Err())
	}
	file, err := a.reference(ctx, row.MediaID, row.SealedReference)
	if errors.Is(err, vault.ErrCannotOpen) {
		return a.settleFile(ctx, row, "failed", reasonUnreadable, 0)
	}
	if err != nil {
		return err
	}
	attempt, cancel := context.WithTimeout(ctx, downloadTimeout)
	err = a.bring(attempt, conn, row.MediaID, file)
	cancel()
	switch {
	case err == nil:
		return a.settleFile(ctx, row, "stored", "", 0)
	case ctx.Err() != nil:
		return fmt.Errorf("fetch file: %w", ctx.Err())
	case errors.Is(err, ErrFileDamaged):
		return a.settleFile(ctx, row, "failed", reasonDamaged, failedPause)
	case row.Attempt+1 >= maxDownloadAttempts:
		a.logger.WarnContext(ctx, "file is given up", "media_id", row.MediaID, "error", err)
		return a.settleFile(ctx, row, "failed", reasonUnreachable, failedPause)
	case errors.Is(err, ErrFileGone):
		if err = conn.AskAgain(ctx, file); err == nil {
			return a.settleFile(ctx, row, "asked", reasonGone, answerTimeout)
		}
	}
	a.logger.WarnContext(ctx, "file could not be fetched yet", "media_id", row.MediaID, "attempt", row.Attempt+1, "error", err)
	return a.settleFile(ctx, row, "wanted", reasonUnreachable, backoff(retryFile, row.Attempt+1))
}

// Why a file is not there.
const (
	reasonUnreadable  = "unreadable"  // its reference is
	reasonDamaged     = "damaged"     // what was fetched is not what the message speaks of, or too large
	reasonUnreachable = "unreachable" // for now
	reasonGone        = "gone"        // from WhatsApp's servers: its sender's phone was asked for it
)

// bring fetches a file into the store, over a spool on disk: memory stays flat, and nothing is stored before it is checked.
func (a *Actor) bring(ctx context.Context, conn Conn, mediaID string, file File) (err error) {
	if _, _, err := mime.ParseMediaType(file.MimeType); err != nil { // the sender's word, which becomes a header
		file.MimeType = "application/octet-stream"
	}
	if file.Size > media.MaxSize {
		return fmt.Errorf("%w: too large", ErrFileDamaged)
	}
	spool, err := os.CreateTemp("", "wafleet-media-*")
	if err != nil {
		return fmt.Errorf("spool file: %w", err)
	}
	defer func() { err = errors.Join(err, spool.Close(), os.Remove(spool.Name())) }()
	if err := conn.Download(ctx, file, spool, media.MaxSize); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	size, err := spool.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = spool.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("rewind file: %w", err)
	}
	err = a.media.Put(ctx, media.Object{Key: media.Key(a.companyID, mediaID), Body: spool, Size: size, MimeType: file.MimeType})
	if err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	return a.store.KeepMedia(ctx, a.companyID, message.Media{
		ID: mediaID, MimeType: file.MimeType, FileName: file.Name, Size: size, SHA256: hex.EncodeToString(file.SHA256),
	})
}

func (a *Actor) reference(ctx context.Context, mediaID string, sealed []byte) (file File, err error) {
	plain, err := a.vault.Open(ctx, a.companyID, store.MediaContext(mediaID), sealed)
	if err != nil {
		return file, fmt.Errorf("open reference: %w", err)
	}
	if err := json.Unmarshal(plain, &file); err != nil {
		return file, fmt.Errorf("read reference: %w: %w", vault.ErrCannotOpen, err)
	}
	return file, nil
}

// settleFile writes down what came of an attempt.
func (a *Actor) settleFile(ctx context.Context, row *db.ListWantedMediaRow, state, reason string, delay time.Duration) error {
	held, err := a.store.Queries().SettleMedia(ctx, a.store.Pool(), db.SettleMediaParams{
		Shard: a.fence.Shard, Term: a.fence.Term, CompanyID: a.companyID, MediaID: row.MediaID,
		State: state, Reason: reason, Delay: delay.Seconds(),
	})
	if err != nil {
		return fmt.Errorf("settle file: %w", err)
	}
	if !held {
		return fmt.Errorf("settle file: %w", store.ErrFenced)
	}
	a.metrics.downloaded(state)
	return nil
}
