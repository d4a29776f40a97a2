package ledger

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// ErrClosed is returned for batches that come after Close.
var ErrClosed = errors.New("ledger is closed")

// Bucket names a kind of record.
type Bucket string

const (
	openTimeout = 2 * time.Second
	fileMode    = 0o600
)

// Batch is a set of changes that happen together or not at all.
type Batch struct {
	changes []change
}

type change struct {
	bucket Bucket
	key    string
	value  []byte // nil deletes
}

// Put sets a record.
func (b *Batch) Put(bucket Bucket, key string, value []byte) {
	if value == nil {
		value = []byte{}
	}
	b.changes = append(b.changes, change{bucket, key, value})
}

// Delete removes a record, if it is there.
func (b *Batch) Delete(bucket Bucket, key string) {
	b.changes = append(b.changes, change{bucket, key, nil})
}

// Pending is a batch on its way to the file.
type Pending struct{ group *group }

// Wait blocks until the batch is written.
func (p Pending) Wait() error {
	if p.group == nil {
		return nil
	}
	<-p.group.done
	return p.group.err
}

// group is the batches that are written by one commit.
type group struct {
	changes []change
	done    chan struct{}
	err     error
}

// Ledger is the file. The queue of batches needs no bound of its own: whoever appends waits for the write before the
// next one, so it holds at most a batch for each connection and phone.
type Ledger struct {
	db      *bbolt.DB // nil keeps nothing
	wake    chan struct{}
	stopped sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	next   *group
	closed bool
	failed error // the first failed write; nothing is accepted afterwards
}

// Open opens or creates the file. An empty path makes a ledger that keeps nothing.
func Open(path string, buckets ...Bucket) (*Ledger, error) {
	if path == "" {
		return &Ledger{}, nil
	}
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{
		Timeout: openTimeout, NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, bucket := range buckets {
			if _, err := tx.CreateBucketIfNotExists([]byte(bucket)); err != nil {
				return fmt.Errorf("bucket %s: %w", bucket, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare ledger: %w", err), db.Close())
	}
	l := &Ledger{db: db, wake: make(chan struct{}, 1), next: newGroup()}
	l.stopped.Go(l.write)
	return l, nil
}

func newGroup() *group { return &group{done: make(chan struct{})} }

// Append takes a batch in. Batches are written in the order in which they were appended.
func (l *Ledger) Append(batch Batch) Pending {
	if l.db == nil || len(batch.changes) == 0 {
		return Pending{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.failed != nil {
		refused := newGroup()
		refused.err = errors.Join(ErrClosed, l.failed)
		close(refused.done)
		return Pending{refused}
	}
	l.next.changes = append(l.next.changes, batch.changes...)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return Pending{l.next}
}

// Commit appends a batch and waits for it.
func (l *Ledger) Commit(batch Batch) error { return l.Append(batch).Wait() }

// Load calls a function for each record of a bucket, in the order of the keys. The value is only valid during the call.
func (l *Ledger) Load(bucket Bucket, fn func(key string, value []byte) error) error {
	if l.db == nil {
		return nil
	}
	err := l.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(key, value []byte) error { return fn(string(key), value) })
	})
	if err != nil {
		return fmt.Errorf("load %s: %w", bucket, err)
	}
	return nil
}

// Close writes what was appended, forces it onto the disk and closes the file. It may be called again.
func (l *Ledger) Close() error {
	if l.db == nil {
		return nil
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.wake)
	l.mu.Unlock()
	l.stopped.Wait()
	if err := errors.Join(l.db.Sync(), l.db.Close()); err != nil {
		return fmt.Errorf("close ledger: %w", err)
	}
	return nil
}
