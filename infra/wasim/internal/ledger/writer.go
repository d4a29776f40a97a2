package ledger

import (
	"fmt"

	"go.etcd.io/bbolt"
)

// write commits group after group until the ledger is closed.
func (l *Ledger) write() {
	for open := true; open; {
		_, open = <-l.wake
		l.writeGroup()
	}
}

// writeGroup commits what has been appended so far.
func (l *Ledger) writeGroup() {
	l.mu.Lock()
	current := l.next
	if len(current.changes) == 0 {
		l.mu.Unlock()
		return
	}
	l.next = newGroup()
	failed := l.failed
	l.mu.Unlock()
	if failed == nil {
		failed = l.commit(current.changes)
		l.fail(failed)
	}
	current.err = failed
	close(current.done)
}

func (l *Ledger) commit(changes []change) error {
	err := l.db.Update(func(tx *bbolt.Tx) error {
		for _, c := range changes {
			bucket := tx.Bucket([]byte(c.bucket))
			var err error
			if c.value == nil {
				err = bucket.Delete([]byte(c.key))
			} else {
				err = bucket.Put([]byte(c.key), c.value)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.bucket, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// fail remembers the first failure: from then on nothing is accepted, because a gap in the order of the writes would be
// worse than a stop.
func (l *Ledger) fail(err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.failed = err
	}
}
