package media_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
	"wafleet/shared/media/mediatest"
)

// newBucket returns a store in a bucket of an S3 that this project did not write.
func newBucket(t *testing.T) *media.Bucket {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("wafleet-media"))
	server := httptest.NewServer(gofakes3.New(backend).Server())
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		server.Close()
	})
	return media.NewBucket(aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), HTTPClient: client,
	}, "wafleet-media", server.URL)
}

func TestBucket(t *testing.T) {
	t.Parallel()
	mediatest.Run(t, newBucket(t))
}

func TestALinkDownloads(t *testing.T) {
	t.Parallel()
	bucket := newBucket(t)
	require.NoError(t, mediatest.Put(t.Context(), bucket, "a/file", []byte("hi")))
	link, err := bucket.Link(t.Context(), "a/file", "image/png", "x.png", time.Minute)
	require.NoError(t, err)
	require.Contains(t, link, "X-Amz-Expires=60")
	require.Contains(t, link, "response-content-disposition=attachment")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "hi", string(body))

	body = []byte("hello")
	upload, headers, err := bucket.UploadLink(t.Context(), "a/upload", int64(len(body)), sha256.Sum256(body), time.Minute)
	require.NoError(t, err)
	require.Contains(t, strings.ToLower(upload+fmt.Sprint(headers)), "checksum-sha256", "S3 is told what to expect")
	request, err = http.NewRequestWithContext(t.Context(), http.MethodPut, upload, bytes.NewReader(body))
	require.NoError(t, err)
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	put, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, put.Body.Close())
	require.Equal(t, http.StatusOK, put.StatusCode)
	require.Equal(t, body, mediatest.Get(t, bucket, "a/upload"))

	_, _, err = bucket.UploadLink(t.Context(), "../x", 1, [32]byte{}, time.Minute)
	require.ErrorIs(t, err, media.ErrBadKey)
	_, err = bucket.Link(t.Context(), "../x", "image/png", "", time.Minute)
	require.ErrorIs(t, err, media.ErrBadKey)
}
