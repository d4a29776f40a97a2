package media

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

const (
	// FetchTimeout bounds a whole fetch, redirects included: a caller waits for it.
	FetchTimeout    = 15 * time.Second
	maxRedirects    = 3
	dialTimeout     = 5 * time.Second
	maxAnswerHeader = 64 << 10
	userAgent       = "wafleet-media/1"
)

var (
	// ErrBlocked says that a URL is none that we fetch from, or leads to one.
	ErrBlocked = errors.New("address is not allowed")
	// ErrFetch says that a URL gave no file.
	ErrFetch = errors.New("file could not be fetched")
)

// Targets decides where may be fetched from.
type Targets interface {
	// CheckURL says early what Control would refuse.
	CheckURL(raw string) error
	// Control is for net.Dialer: it sees the address that is about to be connected to.
	Control(network, address string, conn syscall.RawConn) error
}

// Fetcher fetches files from URLs that strangers name. It is safe for concurrent use.
type Fetcher struct {
	targets Targets
	http    *http.Client
}

// NewFetcher returns a fetcher for these targets. The resolver is the system's where it is nil.
func NewFetcher(targets Targets, resolver *net.Resolver) *Fetcher {
	f := &Fetcher{targets: targets}
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: resolver, Control: func(network, address string, conn syscall.RawConn) error {
		if err := targets.Control(network, address, conn); err != nil {
			return fmt.Errorf("%w: %w", ErrBlocked, err)
		}
		return nil
	}}
	f.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would dial for us, where Control sees nothing
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			ResponseHeaderTimeout:  FetchTimeout,
			MaxResponseHeaderBytes: maxAnswerHeader,
			DisableKeepAlives:      true, // hosts of strangers are visited once
			DisableCompression:     true, // a length is what it says
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("%w: more than %d redirects", ErrFetch, maxRedirects)
			}
			return f.check(r.URL.String())
		},
	}
	return f
}

func (f *Fetcher) check(raw string) error {
	if err := f.targets.CheckURL(raw); err != nil {
		return fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	return nil
}

// Fetch takes in the file behind a URL, of at most limit bytes. The error is ErrBlocked, ErrFetch, a *TooLargeError, or
// the context's.
func (f *Fetcher) Fetch(ctx context.Context, from string, limit int64) (*Spooled, error) {
	if err := f.check(from); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL", ErrFetch)
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := f.http.Do(request)
	if err != nil {
		return nil, fetchError(err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: the server answered %d", ErrFetch, response.StatusCode)
	case response.ContentLength > limit:
		return nil, &TooLargeError{Limit: limit}
	}
	file, err := Spool(ctx, response.Body, limit)
	if tooLarge, ok := errors.AsType[*TooLargeError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, fetchError(err)
	}
	file.Declared = response.Header.Get("Content-Type")
	return file, nil
}

// fetchError tells what is forbidden from what failed, and leaves the URL out, whose query may hold a token.
func fetchError(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	switch {
	case errors.Is(err, ErrBlocked), errors.Is(err, ErrFetch), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: it took longer than %s", ErrFetch, FetchTimeout)
	}
	return fmt.Errorf("%w: %w", ErrFetch, err)
}
