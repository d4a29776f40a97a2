package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/problem"
	"wafleet/shared/store/db"
)

// maxIdempotencyKey is the length of the longest Idempotency-Key, in bytes.
const maxIdempotencyKey = 255

// checkIdempotencyKey refuses keys that are empty or too long; nil is no key and fine.
func checkIdempotencyKey(key *string) error {
	if key != nil && (*key == "" || len(*key) > maxIdempotencyKey) {
		return invalid("Idempotency-Key", fmt.Sprintf("Idempotency-Key must have 1 to %d bytes", maxIdempotencyKey))
	}
	return nil
}

// creation is a call that creates something and whose answer is kept under its Idempotency-Key. Sends need none of
// this: their ids are made from the key.
type creation struct {
	company   string
	operation string
	key       *string // nil: nothing is kept
	body      any     // what was asked for
	secret    bool    // the answer is sealed
}

// errKeyTaken says that another call with the same key was first.
var errKeyTaken = errors.New("idempotency key was taken meanwhile")

// once creates in one transaction what the answer tells of, and returns that answer, or the kept one of the first call
// with this key. The answer is sealed beforehand: a transaction that waited for the vault, which may need a
// connection of its own, could wait for ever.
func once[T any](ctx context.Context, a *API, c creation, fresh T, create func(tx pgx.Tx) error) (answer T, replayed bool, err error) {
	if replayed, err = a.replay(ctx, c, &answer); replayed || err != nil {
		return answer, replayed, err
	}
	kept, err := a.wrap(ctx, c, fresh)
	if err != nil {
		return answer, false, err
	}
	err = a.store.InTx(ctx, func(tx pgx.Tx) error {
		if err := create(tx); err != nil {
			return err
		}
		return a.keep(ctx, tx, kept)
	})
	if errors.Is(err, errKeyTaken) {
		replayed, err = a.replay(ctx, c, &answer)
		return answer, replayed, err
	}
	return fresh, false, err
}

// onceMade is once for an answer that only the creation tells, and that holds no secret: so nothing is sealed.
func onceMade[T any](ctx context.Context, a *API, c creation, create func(tx pgx.Tx) (T, error)) (answer T, replayed bool, err error) {
	if replayed, err = a.replay(ctx, c, &answer); replayed || err != nil {
		return answer, replayed, err
	}
	err = a.store.InTx(ctx, func(tx pgx.Tx) error {
		made, err := create(tx)
		if err != nil {
			return err
		}
		kept, err := a.wrap(ctx, c, made)
		if err != nil {
			return err
		}
		answer = made
		return a.keep(ctx, tx, kept)
	})
	if errors.Is(err, errKeyTaken) {
		var first T
		replayed, err = a.replay(ctx, c, &first)
		return first, replayed, err
	}
	return answer, false, err
}

// replay reads the kept answer of the first call with this key, if there was one.
func (a *API) replay(ctx context.Context, c creation, into any) (bool, error) {
	if c.key == nil {
		return false, nil
	}
	keyHash, bodyHash, err := c.hashes()
	if err != nil {
		return false, err
	}
	kept, err := a.queries.GetIdempotentAnswer(ctx, a.store.Pool(), db.GetIdempotentAnswerParams{
		CompanyID: c.company, Operation: c.operation, KeyHash: keyHash,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read kept answer: %w", err)
	}
	if !bytes.Equal(kept.BodyHash, bodyHash) {
		return false, problem.IdempotencyConflict
	}
	text := kept.Answer
	if c.secret {
		if text, err = a.vault.Open(ctx, c.company, c.place(keyHash), text); err != nil {
			return false, fmt.Errorf("open kept answer: %w", err)
		}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("decode kept answer: %w", err)
	}
	return true, nil
}

// wrap makes of an answer what is kept of it; nil if nothing is.
func (a *API) wrap(ctx context.Context, c creation, answer any) (*db.KeepIdempotentAnswerParams, error) {
	if c.key == nil {
		return nil, nil //nolint:nilnil // nothing is a valid answer
	}
	keyHash, bodyHash, err := c.hashes()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("encode answer to keep: %w", err)
	}
	if c.secret {
		if text, err = a.vault.Seal(ctx, c.company, c.place(keyHash), text); err != nil {
			return nil, fmt.Errorf("seal answer to keep: %w", err)
		}
	}
	return &db.KeepIdempotentAnswerParams{
		CompanyID: c.company, Operation: c.operation, KeyHash: keyHash, BodyHash: bodyHash, Answer: text,
	}, nil
}

// keep stores a wrapped answer in the transaction that makes it true, or returns errKeyTaken.
func (a *API) keep(ctx context.Context, tx pgx.Tx, kept *db.KeepIdempotentAnswerParams) error {
	if kept == nil {
		return nil
	}
	rows, err := a.queries.KeepIdempotentAnswer(ctx, tx, *kept)
	if err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	if rows == 0 {
		return errKeyTaken
	}
	return nil
}

func (c creation) hashes() (key, body []byte, err error) {
	text, err := json.Marshal(c.body)
	if err != nil {
		return nil, nil, fmt.Errorf("hash body: %w", err)
	}
	keyHash, bodyHash := sha256.Sum256([]byte(*c.key)), sha256.Sum256(text)
	return keyHash[:], bodyHash[:], nil
}

// place is the associated data of a sealed answer.
func (c creation) place(keyHash []byte) string {
	return "idempotent_answers.answer|" + c.operation + "|" + hex.EncodeToString(keyHash)
}
