package message

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// IDs derives the WhatsApp id of every outgoing message. The id is fixed before anything is queued,
// so that a repeated call, a redelivery and a resend all speak of one message.
type IDs struct{ secret []byte }

// NewIDs returns the ids of the installation that owns the secret.
func NewIDs(secret []byte) IDs { return IDs{secret: secret} }

// prefix is what WhatsApp's own web client starts its ids with (whatsmeow send.go, GenerateMessageID).
const prefix = "3EB0"

// For returns the id of a company's message with this idempotency key: "3EB0" and 18 upper-case hex digits.
func (ids IDs) For(companyID, idempotencyKey string) string {
	mac := hmac.New(sha256.New, ids.secret)
	// A company id has no NUL (company.CheckID), so that no two pairs run together.
	mac.Write([]byte(companyID + "\x00" + idempotencyKey))
	return prefix + strings.ToUpper(hex.EncodeToString(mac.Sum(nil)[:9]))
}

// New returns a fresh id for a message whose caller gave no idempotency key.
func (ids IDs) New(companyID string) string {
	return ids.For(companyID, rand.Text())
}

// ForRow returns the id of the message that a row of a batch becomes, however often it is fed.
func (ids IDs) ForRow(companyID, batchID string, row int) string {
	// No Idempotency-Key has a NUL, as no header has, so that none leads here.
	return ids.For(companyID, "batch\x00"+batchID+"\x00"+strconv.Itoa(row))
}
