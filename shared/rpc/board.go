package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNotPublished says that nothing (more) is on show for a company.
var ErrNotPublished = errors.New("nothing published")

const (
	// timeout bounds what nobody waits for: Redis is a convenience and must not hold anybody up.
	timeout = 50 * time.Millisecond
	// readTimeout bounds what somebody asked for, and what nothing can stand in for.
	readTimeout = time.Second
)

// QR is the code a phone has to scan next.
type QR struct {
	Code      string    `json:"code"`
	Attempt   int       `json:"attempt"` // how many were shown in this pairing, this one included
	ExpiresAt time.Time `json:"expiresAt"`
}

// PairingCode is the code to type on the phone with this number.
type PairingCode struct {
	Code      string    `json:"code"`
	Phone     string    `json:"phone"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Board shows the pairing codes that owners publish, each until it expires.
type Board struct{ redis redis.UniversalClient }

// NewBoard returns the board of an installation.
func NewBoard(client redis.UniversalClient) *Board { return &Board{redis: client} }

// PublishQR shows a QR until it expires.
func (b *Board) PublishQR(ctx context.Context, companyID string, qr QR) error {
	return b.publish(ctx, key("qr", companyID), qr, time.Until(qr.ExpiresAt))
}

// QR returns what is on show, or ErrNotPublished.
func (b *Board) QR(ctx context.Context, companyID string) (QR, error) {
	var qr QR
	return qr, b.read(ctx, key("qr", companyID), &qr)
}

// PublishPairingCode shows a pairing code until it expires.
func (b *Board) PublishPairingCode(ctx context.Context, companyID string, code PairingCode) error {
	return b.publish(ctx, key("pairing-code", companyID), code, time.Until(code.ExpiresAt))
}

// PairingCode returns what is on show, or ErrNotPublished.
func (b *Board) PairingCode(ctx context.Context, companyID string) (PairingCode, error) {
	var code PairingCode
	return code, b.read(ctx, key("pairing-code", companyID), &code)
}

// Clear takes down whatever is on show for a company.
func (b *Board) Clear(ctx context.Context, companyID string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := b.redis.Del(ctx, key("qr", companyID), key("pairing-code", companyID)).Err(); err != nil {
		return fmt.Errorf("clear board: %w", err)
	}
	return nil
}

func (b *Board) publish(ctx context.Context, key string, value any, ttl time.Duration) error {
	if ttl <= 0 {
		return nil // too late to be of use
	}
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode for board: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := b.redis.Set(ctx, key, body, ttl).Err(); err != nil {
		return fmt.Errorf("publish on board: %w", err)
	}
	return nil
}

func (b *Board) read(ctx context.Context, key string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	body, err := b.redis.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return ErrNotPublished
	}
	if err != nil {
		return fmt.Errorf("read board: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode from board: %w", err)
	}
	return nil
}

// key has one hash tag, so that the keys of a company share a slot of a Redis cluster.
func key(what, companyID string) string { return "wafleet:{" + companyID + "}:" + what }
