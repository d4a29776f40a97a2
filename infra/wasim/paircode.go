package wasim

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"wafleet/infra/wasim/internal/pairing"
	"wafleet/infra/wasim/internal/stanza"
)

// offer is a companion that shows a code and waits for a phone to have it entered.
type offer struct {
	conn         *conn
	registration *registration
	ref          string
	wrapped      []byte // the companion's ephemeral key under the code

	mu       sync.Mutex // guards exchange
	exchange *exchange  // set once a code was entered
}

// exchange is an entered code that waits for the companion's last message.
type exchange struct {
	*pairing.Exchange

	result chan codeResult
}

type codeResult struct {
	secret []byte
	err    error
}

// handleLinkCode handles the companion's messages of pairing by code.
func (s *Server) handleLinkCode(c *conn, node, content stanza.Node) {
	if c.registration == nil {
		c.send(iqError(node, 405, "not-allowed"))
		return
	}
	switch stanza.Str(content, "stage") {
	case "companion_hello":
		s.companionHello(c, node, content)
	case "companion_finish":
		s.companionFinish(c, node, content)
	default:
		s.unhandled(c, "link code stage "+stanza.Str(content, "stage"))
		c.send(iqError(node, 400, "bad-request"))
	}
}

// companionHello notes which phone the companion wants to be entered at.
func (s *Server) companionHello(c *conn, node, content stanza.Node) {
	account, err := s.roster.ByJID(stanza.JID(content, "jid"))
	if err != nil {
		c.send(iqError(node, 404, "item-not-found"))
		return
	}
	random := make([]byte, 16)
	_, _ = rand.Read(random)
	made := &offer{
		conn: c, registration: c.registration, ref: base64.RawURLEncoding.EncodeToString(random),
		wrapped: stanza.Bytes(stanza.Child(content, "link_code_pairing_wrapped_companion_ephemeral_pub")),
	}
	c.registration.mu.Lock()
	c.registration.offered = account.Number
	c.registration.mu.Unlock()
	s.offers.Store(account.Number, made)
	c.send(iqResult(node, stanza.New("link_code_companion_reg", stanza.Attrs{"stage": "companion_hello"},
		stanza.Leaf("link_code_pairing_ref", []byte(made.ref)))))
}

// EnterCode lets a phone enter the code that a companion shows, "ABCD-EFGH" or "ABCDEFGH", and waits until the
// companion has confirmed the pairing. The error is ErrNotFound for an unknown phone, ErrInvalid for a code that is
// wrong and ErrConflict if no companion waits for one.
func (s *Server) EnterCode(ctx context.Context, number, code string) (Companion, error) {
	account, err := s.account(number)
	if err != nil {
		return Companion{}, err
	}
	code, err = pairing.NormalizeCode(code)
	if err != nil {
		return Companion{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	found, ok := s.offers.Load(number)
	if !ok {
		return Companion{}, fmt.Errorf("%w: no companion waits for a code of this phone", ErrConflict)
	}
	waiting := found.(*offer) //nolint:forcetypeassert // Nothing else is stored.
	begun, err := pairing.EnterCode(account.Phone.Identity(), code, waiting.wrapped)
	if err != nil {
		return Companion{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	entered := &exchange{Exchange: begun, result: make(chan codeResult, 1)}
	waiting.mu.Lock()
	waiting.exchange = entered
	waiting.mu.Unlock()
	identity := account.Phone.Identity().Pub
	waiting.conn.send(stanza.New("notification",
		stanza.Attrs{
			"from": serverJID, "type": "link_code_companion_reg", "id": waiting.conn.nextID(), "t": stanza.Unix(time.Now()),
		},
		stanza.New("link_code_companion_reg", stanza.Attrs{"stage": "primary_hello"},
			stanza.Leaf("link_code_pairing_ref", []byte(waiting.ref)),
			stanza.Leaf("link_code_pairing_wrapped_primary_ephemeral_pub", begun.Wrapped),
			stanza.Leaf("primary_identity_pub", identity[:]))))
	secret, err := s.awaitSecret(ctx, waiting.conn, entered)
	if err != nil {
		return Companion{}, err
	}
	return s.link(ctx, waiting.conn, waiting.registration, account, secret)
}

func (s *Server) awaitSecret(ctx context.Context, c *conn, entered *exchange) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.ConfirmTimeout)
	defer cancel()
	select {
	case result := <-entered.result:
		return result.secret, result.err
	case <-c.done:
		return nil, fmt.Errorf("%w: the companion went away", ErrConflict)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: the companion does not answer: %w", ErrConflict, context.Cause(ctx))
	}
}

// companionFinish reads the companion's key bundle, which shows whether the code was right.
func (s *Server) companionFinish(c *conn, node, content stanza.Node) {
	entered := s.enteredCode(c, stanza.Text(stanza.Child(content, "link_code_pairing_ref")))
	if entered == nil {
		c.send(iqError(node, 404, "item-not-found"))
		return
	}
	bundle := stanza.Bytes(stanza.Child(content, "link_code_pairing_wrapped_key_bundle"))
	secret, err := entered.Finish(bundle, c.registration.identity)
	if err != nil {
		c.send(iqError(node, 400, "bad-request"))
		if errors.Is(err, pairing.ErrCode) {
			err = fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		entered.result <- codeResult{err: err}
		return
	}
	c.send(iqResult(node))
	entered.result <- codeResult{secret: secret}
}

// enteredCode takes the exchange that a companion's last message is about.
func (s *Server) enteredCode(c *conn, ref string) *exchange {
	c.registration.mu.Lock()
	number := c.registration.offered
	c.registration.mu.Unlock()
	found, ok := s.offers.Load(number)
	if !ok {
		return nil
	}
	waiting := found.(*offer) //nolint:forcetypeassert // Nothing else is stored.
	waiting.mu.Lock()
	defer waiting.mu.Unlock()
	if waiting.conn != c || waiting.ref != ref {
		return nil
	}
	entered := waiting.exchange
	waiting.exchange = nil
	return entered
}
