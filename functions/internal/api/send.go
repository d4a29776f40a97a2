package api

import (
	"context"
	"errors"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/phone"
)

// SendMessage accepts a text message, as the predecessor did.
func (a *API) SendMessage(ctx context.Context, r contract.SendMessageRequestObject) (contract.SendMessageResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	to, err := phone.Normalize(r.Body.Phone)
	if err != nil {
		return nil, invalid("phone", "phone: "+err.Error())
	}
	content := message.Content{Kind: message.Text, Text: r.Body.Message}
	if err := content.Validate(); err != nil {
		return nil, invalid("message", err.Error())
	}
	if err := checkIdempotencyKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	accepted, err := a.acceptCounted(ctx, outgoing{company: companyID, to: to, content: content, key: r.Params.IdempotencyKey})
	if err != nil {
		return nil, err
	}
	return contract.SendMessage200JSONResponse{
		Body: contract.SendResponse{
			Success: true, Message: "Message sent successfully",
			Data: contract.AcceptedSend{MessageID: accepted.messageID, Status: a.statusAfter(ctx, companyID, accepted.messageID, r.Params.Prefer)},
		},
		Headers: contract.SendMessage200ResponseHeaders{IdempotentReplayed: replayedHeader(accepted.replayed)},
	}, nil
}

// SendMedia accepts a message with a file that is fetched from a URL, as the predecessor did.
func (a *API) SendMedia(ctx context.Context, r contract.SendMediaRequestObject) (contract.SendMediaResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	to, err := phone.Normalize(r.Body.Phone)
	if err != nil {
		return nil, invalid("phone", "phone: "+err.Error())
	}
	kind := message.Kind(r.Body.Type)
	if !kind.HasMedia() {
		return nil, invalid("type", "type must be image, video, audio, voice, document or sticker")
	}
	if err := checkIdempotencyKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	o := outgoing{
		company: companyID, to: to, content: message.Content{Kind: kind, Text: value(r.Body.Caption)}, key: r.Params.IdempotencyKey,
		asked: contract.SendMediaRequest{MediaURL: r.Body.MediaURL, Type: r.Body.Type, Caption: r.Body.Caption},
	}
	if err := a.attach(&o, &contract.MessageRequest{MediaURL: &r.Body.MediaURL}); err != nil {
		return nil, err
	}
	accepted, err := a.acceptCounted(ctx, o)
	if err != nil {
		return nil, err
	}
	return contract.SendMedia200JSONResponse{
		Body: contract.SendResponse{
			Success: true, Message: "Message sent successfully",
			Data: contract.AcceptedSend{MessageID: accepted.messageID, Status: a.statusAfter(ctx, companyID, accepted.messageID, r.Params.Prefer)},
		},
		Headers: contract.SendMedia200ResponseHeaders{IdempotentReplayed: replayedHeader(accepted.replayed)},
	}, nil
}

// resultOf is the metric's label for a send that was not accepted.
func resultOf(err error) string {
	if errors.Is(err, context.Canceled) {
		return "client_gone"
	}
	return string(classify(err).Code)
}
