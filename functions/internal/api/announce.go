package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strconv"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/store"
)

// announceLife is how long an announced file may take to be sent.
const announceLife = 15 * time.Minute

// announce records a file that is too large for a call, and says where to send it: to S3, or to ourselves where there is none.
func (a *API) announce(ctx context.Context, companyID string, r *contract.MediaAnnouncement) (contract.MediaContent, error) {
	var none contract.MediaContent
	m, sum, err := announced(companyID, r)
	if err != nil {
		return none, err
	}
	known, err := a.store.UseMedia(ctx, companyID, m.ID)
	if err == nil {
		return *contentAnswer(message.Content{Media: &known}).Media, nil
	}
	if !errors.Is(err, store.ErrNoMedia) && !errors.Is(err, store.ErrMediaPending) {
		return none, err
	}
	if err := a.store.AnnounceMedia(ctx, companyID, m); err != nil {
		return none, err
	}
	answer := *contentAnswer(message.Content{Media: &m}).Media
	answer.ExpiresIn = new(int(announceLife.Seconds()))
	linker, ok := a.media.(media.Linker)
	if !ok {
		answer.UploadURL = new(a.uploadURL(ctx, companyID, m.ID, time.Now().Add(announceLife)))
		answer.UploadHeaders = map[string]string{"Content-Type": "application/octet-stream"}
		return answer, nil
	}
	to, headers, err := linker.UploadLink(ctx, media.Key(companyID, m.ID), m.Size, sum, announceLife)
	if err != nil {
		return none, fmt.Errorf("announce media: %w", err)
	}
	answer.UploadURL, answer.UploadHeaders = &to, headers
	return answer, nil
}

func announced(companyID string, r *contract.MediaAnnouncement) (m message.Media, sum [sha256.Size]byte, err error) {
	hash, err := hex.DecodeString(r.Sha256)
	if err != nil || len(hash) != len(sum) {
		return m, sum, invalid("sha256", "sha256 must be 64 hex digits")
	}
	copy(sum[:], hash)
	m = message.Media{
		ID: media.ID(companyID, sum), MimeType: value(r.MimeType), FileName: value(r.FileName), Size: r.Size, SHA256: hex.EncodeToString(sum[:]),
	}
	if m.Size < 1 {
		return m, sum, invalid("size", "size must be at least 1")
	}
	if m.Size > media.MaxSize {
		return m, sum, mediaProblem(&media.TooLargeError{Limit: media.MaxSize})
	}
	if _, _, err := mime.ParseMediaType(m.MimeType); err != nil && m.MimeType != "" {
		return m, sum, invalid("mimeType", "mimeType is not valid")
	}
	return m, sum, fieldProblem(message.CheckFileName(m.FileName))
}

// uploadURL is where this API takes an announced file, without a key: the URL says what it is for.
func (a *API) uploadURL(ctx context.Context, companyID, mediaID string, until time.Time) string {
	query := url.Values{
		"companyId": {companyID}, "expires": {strconv.FormatInt(until.Unix(), 10)}, "signature": {a.sign(companyID, mediaID, until.Unix())},
	}
	return callOf(ctx).base + contract.BasePath + "/media/" + mediaID + "?" + query.Encode()
}

func (a *API) sign(companyID, mediaID string, until int64) string {
	mac := hmac.New(sha256.New, a.secret)
	fmt.Fprintf(mac, "media\x00%s\x00%s\x00%d", companyID, mediaID, until)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// PutMedia takes an announced file.
func (a *API) PutMedia(ctx context.Context, r contract.PutMediaRequestObject) (contract.PutMediaResponseObject, error) {
	p := r.Params
	if subtle.ConstantTimeCompare([]byte(p.Signature), []byte(a.sign(p.CompanyID, r.ID, p.Expires))) != 1 || time.Now().Unix() > p.Expires {
		return nil, problem.Forbidden.Saying("The URL is not valid, or no longer")
	}
	if a.media == nil {
		return nil, noMediaStore()
	}
	callOf(ctx).companyID = p.CompanyID
	m, err := a.store.UseMedia(ctx, p.CompanyID, r.ID)
	switch {
	case err == nil: // sent twice
		return contract.PutMedia200JSONResponse{Success: true, Data: *contentAnswer(message.Content{Media: &m}).Media}, nil
	case errors.Is(err, store.ErrNoMedia):
		return nil, noMedia(r.ID)
	case !errors.Is(err, store.ErrMediaPending):
		return nil, err
	}
	file, err := media.Spool(ctx, r.Body, m.Size)
	if err != nil {
		return nil, mediaProblem(err)
	}
	kept, err := a.keepAnnounced(ctx, p.CompanyID, m, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return contract.PutMedia200JSONResponse{Success: true, Data: *contentAnswer(message.Content{Media: kept}).Media}, nil
}

// keepAnnounced looks at a file that was announced, which nobody has done before.
func (a *API) keepAnnounced(ctx context.Context, companyID string, m message.Media, file *media.Spooled) (*message.Media, error) {
	if media.ID(companyID, file.Sum) != m.ID {
		return nil, invalid("sha256", "The file is not the one that was announced")
	}
	file.Declared = m.MimeType
	return a.keepFile(ctx, companyID, message.Document, file, m.FileName)
}

// arrived is a file that was announced, once it is in the store.
func (a *API) arrived(ctx context.Context, companyID string, m message.Media) (message.Media, error) {
	body, _, err := a.media.Open(ctx, media.Key(companyID, m.ID))
	if errors.Is(err, media.ErrNotFound) {
		return m, problem.NotFound.Saying("The file was announced and is not uploaded yet").With("mediaId", m.ID)
	}
	if err != nil {
		return m, fmt.Errorf("read media: %w", err)
	}
	file, err := media.Spool(ctx, body, m.Size)
	if err = errors.Join(err, body.Close()); err != nil {
		return m, mediaProblem(err)
	}
	kept, err := a.keepAnnounced(ctx, companyID, m, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return m, err
	}
	return *kept, nil
}

// useFile returns what is known of a company's file, and looks at one that was only announced so far.
func (a *API) useFile(ctx context.Context, companyID, mediaID string) (message.Media, error) {
	m, err := a.store.UseMedia(ctx, companyID, mediaID)
	switch {
	case errors.Is(err, store.ErrMediaPending):
		return a.arrived(ctx, companyID, m)
	case errors.Is(err, store.ErrNoMedia):
		return m, noMedia(mediaID)
	}
	return m, err
}
