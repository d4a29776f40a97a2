package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/store"
)

const (
	// maxUpload is how large an uploaded file may be: API Gateway takes 10 MB, and base64 makes more of it on the way.
	maxUpload = 4 << 20
	// linkLife is how long a link to a file works.
	linkLife = 5 * time.Minute
)

// UploadMedia keeps a file, to be sent later.
func (a *API) UploadMedia(ctx context.Context, r contract.UploadMediaRequestObject) (contract.UploadMediaResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	if a.media == nil {
		return nil, noMediaStore()
	}
	if r.JSONBody != nil {
		m, err := a.announce(ctx, companyID, r.JSONBody)
		if err != nil {
			return nil, err
		}
		return mediaKept(m), nil
	}
	if r.MultipartBody == nil {
		return nil, problem.UnsupportedMedia.Saying("Content-Type must be multipart/form-data, or application/json to announce a file")
	}
	part, err := filePart(r.MultipartBody)
	if err != nil {
		return nil, err
	}
	file, err := media.Spool(ctx, part, maxUpload)
	if _, whole := errors.AsType[*http.MaxBytesError](err); whole {
		err = &media.TooLargeError{Limit: maxUpload}
	}
	if err != nil {
		return nil, mediaProblem(err)
	}
	file.Declared = part.Header.Get("Content-Type")
	m, err := a.keepFile(ctx, companyID, message.Document, file, part.FileName())
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return mediaKept(*contentAnswer(message.Content{Media: m}).Media), nil
}

func mediaKept(m contract.MediaContent) contract.UploadMedia201JSONResponse {
	return contract.UploadMedia201JSONResponse{
		Body:    contract.MediaResponse{Success: true, Data: m},
		Headers: contract.UploadMedia201ResponseHeaders{Location: new(contract.BasePath + "/media/" + m.MediaID)},
	}
}

// filePart finds the file of a form.
func filePart(form *multipart.Reader) (*multipart.Part, error) {
	part, err := form.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, invalid("file", "file is required")
	case err != nil:
		return nil, problem.Validation.Saying("The form cannot be read").Because(err)
	case part.FormName() != "file":
		return nil, invalid(part.FormName(), part.FormName()+" is not a known field")
	}
	return part, nil
}

// GetMedia returns a file of the company's, or leads to it.
func (a *API) GetMedia(ctx context.Context, r contract.GetMediaRequestObject) (contract.GetMediaResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	if a.media == nil {
		return nil, noMediaStore()
	}
	m, err := a.useFile(ctx, companyID, r.ID)
	if errors.Is(err, store.ErrNoMedia) {
		return a.fetchFile(ctx, companyID, r.ID)
	}
	if err != nil {
		return nil, err
	}
	return a.serveFile(ctx, companyID, m)
}

func noMedia(id string) error {
	return problem.NotFound.Saying("There is no such media").With("mediaId", id).Because(store.ErrNoMedia)
}

// serveFile answers with a file that is in the store. A browser saves it and takes it for nothing but what we say.
func (a *API) serveFile(ctx context.Context, companyID string, m message.Media) (contract.GetMediaResponseObject, error) {
	key := media.Key(companyID, m.ID)
	if linker, ok := a.media.(media.Linker); ok {
		link, err := linker.Link(ctx, key, m.MimeType, m.FileName, linkLife)
		if err != nil {
			return nil, fmt.Errorf("serve media: %w", err)
		}
		return contract.GetMedia302Response{Headers: contract.GetMedia302ResponseHeaders{Location: &link}}, nil
	}
	body, size, err := a.media.Open(ctx, key)
	if errors.Is(err, media.ErrNotFound) {
		return nil, noMedia(m.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("serve media: %w", err)
	}
	callOf(ctx).header.Set("X-Content-Type-Options", "nosniff")
	return contract.GetMedia200AsteriskResponse{
		Body: body, ContentType: m.MimeType, ContentLength: size,
		Headers: contract.GetMedia200ResponseHeaders{ContentDisposition: new(media.Disposition(m.FileName))},
	}, nil
}
