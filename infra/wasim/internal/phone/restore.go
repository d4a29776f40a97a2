package phone

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"go.mau.fi/whatsmeow/util/keys"

	"wafleet/infra/wasim/internal/ledger"
)

var errRecord = errors.New("damaged phone record")

// RestoreRecord takes back a record of the ledger; name is the key without the number. Records of a bucket must come in
// the order of their keys.
func (p *Phone) RestoreRecord(bucket ledger.Bucket, name string, value []byte) error {
	switch bucket {
	case BucketSessions:
		p.sessions[name] = append([]byte(nil), value...)
		return nil
	case BucketPreKeys:
		return p.restoreKey(name, value)
	case BucketRows:
		return p.restoreRow(name, value)
	case BucketSent:
		var sent Sent
		if err := json.Unmarshal(value, &sent); err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
		p.remember(&sent)
		return nil
	default:
		return fmt.Errorf("%w: bucket %s", errRecord, bucket)
	}
}

func (p *Phone) restoreKey(name string, value []byte) error {
	id, err := strconv.ParseUint(name, 16, 32)
	if err != nil || len(value) != 32 {
		return fmt.Errorf("%w: prekey %s", errRecord, name)
	}
	p.oneTime[uint32(id)] = keys.NewKeyPairFromPrivateKey([32]byte(value))
	p.lastKey = max(p.lastKey, uint32(id))
	return nil
}

func (p *Phone) restoreRow(name string, value []byte) error {
	sequence, err := strconv.ParseUint(name, 16, 64)
	if err != nil {
		return fmt.Errorf("%w: message %s", errRecord, name)
	}
	var row Message
	if err := json.Unmarshal(value, &row); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	if len(p.inbox.rows) == 0 {
		p.inbox.first = sequence
	}
	p.inbox.add(row.From+"/"+row.ID, &row)
	return nil
}
