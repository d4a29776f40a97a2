package preview

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"

	"wafleet/shared/media"
	"wafleet/shared/message"
)

const (
	// timeout bounds page and picture together: a caller waits for them.
	timeout    = 5 * time.Second
	maxPage    = 2 << 20
	maxPicture = 4 << 20
	maxTitle   = 255 // runes
	maxSummary = 500
)

// Fetcher fetches from addresses that are allowed. It is implemented by media.Fetcher.
type Fetcher interface {
	Fetch(ctx context.Context, from string, limit int64) (*media.Spooled, error)
}

var _ Fetcher = (*media.Fetcher)(nil)

// link is what is taken for one in a text; what ends a sentence does not belong to it.
var link = regexp.MustCompile(`https?://[^\s<>"]+`)

// Link returns the first link of a text, or an empty string.
func Link(text string) string {
	return strings.TrimRight(link.FindString(text), ".,;:!?)]}'»”")
}

// Of returns the preview of a text's first link, or nil where there is no link, or nothing worth showing behind it. That
// a page cannot be had is no error; only that the context was canceled is.
func Of(ctx context.Context, fetcher Fetcher, text string) (*message.LinkPreview, error) {
	from := Link(text)
	if from == "" {
		return nil, nil //nolint:nilnil // none is a valid answer
	}
	look, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p := lookAt(look, fetcher, from)
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return nil, err //nolint:wrapcheck // the caller is gone
	}
	return p, nil
}

func lookAt(ctx context.Context, fetcher Fetcher, from string) *message.LinkPreview {
	page, err := fetcher.Fetch(ctx, from, maxPage)
	if err != nil {
		return nil
	}
	head, err := read(page, page.Declared)
	if err = errors.Join(err, page.Close()); err != nil || head.title == "" {
		return nil
	}
	return &message.LinkPreview{
		URL: from, Title: shorten(head.title, maxTitle), Description: shorten(head.summary, maxSummary),
		Thumbnail: thumbnail(ctx, fetcher, from, head.picture),
	}
}

// thumbnail is a small copy of a page's picture, or nothing.
func thumbnail(ctx context.Context, fetcher Fetcher, page, picture string) []byte {
	base, err := url.Parse(page)
	if err != nil || picture == "" {
		return nil
	}
	at, err := base.Parse(picture)
	if err != nil {
		return nil
	}
	file, err := fetcher.Fetch(ctx, at.String(), maxPicture)
	if err != nil {
		return nil
	}
	m, err := media.Inspect(file, file.Declared)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil
	}
	return m.Thumbnail
}

// shorten is a text in one line and no more runes than these.
func shorten(text string, most int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	return string(runes[:min(len(runes), most)])
}
