package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"path"
	"strings"

	"wafleet/functions/internal/preview"
	contract "wafleet/shared/api"
	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/problem"
)

// source is where a message's file comes from: one of the first three.
type source struct {
	id, url, base64 *string

	mimeType string // as the caller says
	fileName string
}

// errManySources says that a message names no file, or several.
var errManySources = errors.New("one of mediaId, mediaUrl and mediaBase64 is required")

// attach checks the content. Its file is fetched by seal, once it is known that the message is wanted; what is known of
// it without that is checked here.
func (a *API) attach(o *outgoing, r *contract.MessageRequest) error {
	checked := o.content
	if checked.Kind.HasMedia() {
		from := source{id: r.MediaID, url: r.MediaURL, base64: r.MediaBase64, mimeType: value(r.MimeType), fileName: value(r.FileName)}
		if err := from.check(); err != nil {
			return err
		}
		kind := checked.Kind
		o.complete = func(ctx context.Context, c *message.Content) (err error) {
			c.Media, err = a.file(ctx, o.company, kind, from)
			return err
		}
		checked.Media = &message.Media{ID: "to come", FileName: from.fileName}
	}
	if r.LinkPreview != nil && *r.LinkPreview {
		o.complete = func(ctx context.Context, c *message.Content) (err error) {
			c.Preview, err = preview.Of(ctx, a.fetcher, c.Text)
			return err
		}
	}
	return fieldProblem(checked.Validate())
}

func (s source) check() error {
	given := 0
	for _, way := range []*string{s.id, s.url, s.base64} {
		if way != nil {
			given++
		}
	}
	if given != 1 {
		return invalid("mediaId", errManySources.Error())
	}
	if s.mimeType == "" {
		return nil
	}
	if _, _, err := mime.ParseMediaType(s.mimeType); err != nil {
		return invalid("mimeType", "mimeType is not valid")
	}
	return nil
}

// file makes sure that a message's file is in the store, and returns what the message needs to know of it.
func (a *API) file(ctx context.Context, companyID string, kind message.Kind, from source) (*message.Media, error) {
	if a.media == nil {
		return nil, noMediaStore()
	}
	if from.id != nil {
		return a.knownFile(ctx, companyID, kind, from)
	}
	spooled, err := a.spool(ctx, kind, &from)
	if err != nil {
		return nil, mediaProblem(err)
	}
	m, err := a.keepFile(ctx, companyID, kind, spooled, from.fileName)
	return m, errors.Join(err, spooled.Close())
}

func noMediaStore() error {
	return problem.Configuration.Saying("This installation has nowhere to keep files: MEDIA_BUCKET or MEDIA_FOLDER is not set")
}

// knownFile is a file that is in the store already.
func (a *API) knownFile(ctx context.Context, companyID string, kind message.Kind, from source) (*message.Media, error) {
	m, err := a.useFile(ctx, companyID, *from.id)
	if err != nil {
		return nil, referenceProblem("mediaId", err)
	}
	if from.fileName != "" {
		m.FileName = from.fileName
	}
	if kind != message.Voice || m.MimeType == media.MimeOpus {
		return &m, mediaProblem(media.Check(kind, m))
	}
	if err := media.Check(kind, m); err != nil {
		return nil, mediaProblem(err)
	}
	body, _, err := a.media.Open(ctx, media.Key(companyID, m.ID))
	if err != nil {
		return nil, fmt.Errorf("read media: %w", err)
	}
	spooled, err := media.Spool(ctx, body, media.Limit(kind))
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("read media: %w", err)
	}
	voice, err := a.keepFile(ctx, companyID, kind, spooled, m.FileName)
	return voice, errors.Join(err, spooled.Close())
}

// spool takes the file in, and notes what its sender says of it.
func (a *API) spool(ctx context.Context, kind message.Kind, from *source) (*media.Spooled, error) {
	if from.url != nil {
		file, err := a.fetcher.Fetch(ctx, *from.url, media.Limit(kind))
		if err != nil {
			return nil, err
		}
		if from.mimeType != "" {
			file.Declared = from.mimeType
		}
		if from.fileName == "" {
			from.fileName = nameInURL(*from.url)
		}
		return file, nil
	}
	text := *from.base64
	if head, data, isURL := strings.Cut(text, ","); isURL && strings.HasPrefix(head, "data:") { // as browsers give it
		text = data
		if from.mimeType == "" {
			from.mimeType, _, _ = strings.Cut(strings.TrimPrefix(head, "data:"), ";")
		}
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, invalid("mediaBase64", "mediaBase64 is not base64")
	}
	file, err := media.Spool(ctx, bytes.NewReader(b), media.Limit(kind))
	if err == nil {
		file.Declared = from.mimeType
	}
	return file, err
}

// keepFile looks at a file, makes a voice message of it where that is asked for, and keeps it.
func (a *API) keepFile(ctx context.Context, companyID string, kind message.Kind, file *media.Spooled, name string) (*message.Media, error) {
	m, err := media.Inspect(file, file.Declared)
	if err == nil && m.Size == 0 {
		err = invalid("", "The file is empty")
	}
	if err == nil {
		err = media.Check(kind, m)
	}
	if err != nil {
		return nil, mediaProblem(err)
	}
	if kind == message.Voice && m.MimeType != media.MimeOpus {
		voice, err := a.voices.Opus(ctx, file)
		if err != nil {
			return nil, mediaProblem(err)
		}
		kept, err := a.keepFile(ctx, companyID, kind, voice, name)
		return kept, errors.Join(err, voice.Close())
	}
	m.ID, m.FileName, m.SHA256 = media.ID(companyID, file.Sum), fileName(name, m.MimeType, kind), hex.EncodeToString(file.Sum[:])
	err = a.media.Put(ctx, media.Object{Key: media.Key(companyID, m.ID), Body: file, Size: m.Size, MimeType: m.MimeType})
	if err != nil {
		return nil, problem.Connection.Saying("The file could not be kept").RetryAfter(queueRetry).Because(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("keep file: %w", err)
	}
	return &m, a.store.KeepMedia(ctx, companyID, m)
}

// fileName is the name that the other side saves a file under; only documents need one.
func fileName(given, mimeType string, kind message.Kind) string {
	if message.CheckFileName(given) != nil {
		given = ""
	}
	if given != "" || kind != message.Document {
		return given
	}
	if endings, err := mime.ExtensionsByType(mimeType); err == nil && len(endings) > 0 {
		return "file" + endings[0]
	}
	return "file"
}

// nameInURL is the last part of a URL's path, where that looks like the name of a file.
func nameInURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || path.Ext(u.Path) == "" {
		return ""
	}
	return path.Base(u.Path)
}

// mediaProblem puts what is wrong with a file into the caller's terms; nil stays nil.
func mediaProblem(err error) error {
	var tooLarge *media.TooLargeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return problem.MediaTooLarge.Saying("The "+tooLarge.Error()).With("limit", tooLarge.Limit)
	case errors.Is(err, media.ErrUnsupported):
		return problem.MediaUnsupported.Saying("The " + err.Error())
	case errors.Is(err, media.ErrBlocked):
		return problem.MediaBlocked.Because(err).With("field", "mediaUrl")
	case errors.Is(err, media.ErrFetch):
		return problem.MediaUnreachable.Because(err).With("field", "mediaUrl")
	}
	return err
}
