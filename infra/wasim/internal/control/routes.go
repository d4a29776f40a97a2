package control

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/fault"
)

// phoneOf is the number in the address of a request.
func phoneOf(r *http.Request) string { return strings.TrimPrefix(r.PathValue("phone"), "+") }

func (h *handler) phones(*http.Request) (any, error) { return h.network.Phones(), nil }

func (h *handler) phone(r *http.Request) (any, error) { return h.network.Phone(phoneOf(r)) }

func (h *handler) addPhone(r *http.Request) (any, error) {
	var phone NewPhone
	if err := decode(r, maxBody, &phone); err != nil {
		return nil, err
	}
	phone.Phone = strings.TrimPrefix(phone.Phone, "+")
	added, err := h.network.AddPhone(r.Context(), phone)
	return created{added}, err
}

func (h *handler) setOnline(r *http.Request) (any, error) {
	var body struct {
		Online *bool `json:"online"`
	}
	if err := decode(r, maxBody, &body); err != nil {
		return nil, err
	}
	if body.Online == nil {
		return nil, fmt.Errorf("%w: online is missing", ErrInvalid)
	}
	if err := h.network.SetOnline(r.Context(), phoneOf(r), *body.Online); err != nil {
		return nil, err
	}
	return h.network.Phone(phoneOf(r))
}

func (h *handler) scan(r *http.Request) (any, error) {
	var body struct {
		QR string `json:"qr"`
	}
	if err := decode(r, maxBody, &body); err != nil {
		return nil, err
	}
	return h.network.Scan(r.Context(), phoneOf(r), body.QR)
}

func (h *handler) enterCode(r *http.Request) (any, error) {
	var body struct {
		Code string `json:"code"`
	}
	if err := decode(r, maxBody, &body); err != nil {
		return nil, err
	}
	return h.network.EnterCode(r.Context(), phoneOf(r), body.Code)
}

func (h *handler) unlink(r *http.Request) (any, error) {
	var body struct {
		Device uint16 `json:"device"`
	}
	if err := decode(r, maxBody, &body); err != nil {
		return nil, err
	}
	if body.Device == 0 {
		return nil, fmt.Errorf("%w: device is missing; the phone itself cannot be removed", ErrInvalid)
	}
	if err := h.network.Unlink(r.Context(), phoneOf(r), body.Device); err != nil {
		return nil, err
	}
	return h.network.Phone(phoneOf(r))
}

func (h *handler) messages(r *http.Request) (any, error) { return h.network.Messages(phoneOf(r)) }

// newMessage is a message to be written. Some fields have a second name, which fits the type better, and a contact may be
// given by name and number instead of a vcard.
type newMessage struct {
	Outgoing

	Caption   string `json:"caption"`
	Emoji     string `json:"emoji"`
	Question  string `json:"question"`
	Name      string `json:"name"`
	ReplyTo   string `json:"replyTo"`
	MessageID string `json:"messageId"`
	Contact   struct {
		Name  string `json:"name"`
		Phone string `json:"phone"`
	} `json:"contact"`
}

// outgoing brings the message into its one form.
func (m newMessage) outgoing() Outgoing {
	out := m.Outgoing
	out.Text = cmp.Or(out.Text, m.Caption, m.Emoji, m.Question, m.Name, m.Contact.Name)
	out.Target = cmp.Or(out.Target, m.MessageID, m.ReplyTo)
	out.Type = cmp.Or(out.Type, content.Text)
	if out.Type == content.Text && out.Target != "" {
		out.Type = content.Reply
	}
	if m.Contact.Phone != "" {
		out.VCard = cmp.Or(out.VCard, content.VCard(m.Contact.Name, m.Contact.Phone))
	}
	return out
}

func (h *handler) send(r *http.Request) (any, error) {
	var message newMessage
	if err := decode(r, maxMessage, &message); err != nil {
		return nil, err
	}
	id, err := h.network.SendMessage(r.Context(), phoneOf(r), message.outgoing())
	return map[string]string{"id": id}, err
}

func (h *handler) receipts(r *http.Request) (any, error) { return h.network.Receipts(phoneOf(r)) }

func (h *handler) sendReceipts(r *http.Request) (any, error) {
	var body struct {
		Type string   `json:"type"`
		IDs  []string `json:"ids"`
	}
	if err := decode(r, maxBody, &body); err != nil {
		return nil, err
	}
	return nil, h.network.SendReceipts(r.Context(), phoneOf(r), body.Type, body.IDs...)
}

func (h *handler) faults(*http.Request) (any, error) { return h.network.Faults(), nil }

func (h *handler) addFault(r *http.Request) (any, error) {
	var wanted fault.Fault
	if err := decode(r, maxBody, &wanted); err != nil {
		return nil, err
	}
	wanted.Phone = strings.TrimPrefix(wanted.Phone, "+")
	added, err := h.network.AddFault(r.Context(), wanted)
	return created{added}, err
}

func (h *handler) clearFaults(*http.Request) (any, error) {
	h.network.ClearFaults()
	return nil, nil //nolint:nilnil // Nothing to say.
}

func (h *handler) stats(*http.Request) (any, error) { return h.network.Stats(), nil }

func (h *handler) journal(r *http.Request) (any, error) {
	after, err := number(r, "after")
	if err != nil {
		return nil, err
	}
	limit, err := number(r, "limit")
	if err != nil {
		return nil, err
	}
	return h.network.Journal(after, int(min(limit, 1<<20))), nil
}

func (h *handler) root(*http.Request) (any, error) { return h.network.Root(), nil }
