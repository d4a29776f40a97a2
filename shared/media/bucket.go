package media

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Bucket is a Store in an S3 bucket. The bucket encrypts what it keeps.
type Bucket struct {
	client *s3.Client
	links  *s3.PresignClient
	name   string
}

var (
	_ Store  = (*Bucket)(nil)
	_ Linker = (*Bucket)(nil)
)

// NewBucket returns the store in a bucket; an endpoint is for another S3 than Amazon's.
func NewBucket(config aws.Config, name, endpoint string) *Bucket {
	client := s3.NewFromConfig(config, func(o *s3.Options) {
		if endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = &endpoint, true
		}
	})
	return &Bucket{client: client, links: s3.NewPresignClient(client), name: name}
}

// Put uploads the file.
func (b *Bucket) Put(ctx context.Context, o Object) error {
	if err := CheckKey(o.Key); err != nil {
		return err
	}
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: &o.Key, Body: o.Body, ContentLength: &o.Size, ContentType: &o.MimeType,
	})
	if err != nil {
		return fmt.Errorf("keep file: %w", err)
	}
	return nil
}

// Open downloads the file.
func (b *Bucket) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	if err := CheckKey(key); err != nil {
		return nil, 0, err
	}
	got, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if _, missing := errors.AsType[*types.NoSuchKey](err); missing {
		return nil, 0, ErrNotFound
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open file: %w", err)
	}
	return got.Body, aws.ToInt64(got.ContentLength), nil
}

// Delete removes the file.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key}); err != nil {
		return fmt.Errorf("delete file: %w", err)
	}
	return nil
}

// Link signs a URL that downloads the file, never shows it: it comes from somebody else.
func (b *Bucket) Link(ctx context.Context, key, mimeType, fileName string, life time.Duration) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", err
	}
	signed, err := b.links.PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket: &b.name, Key: &key, ResponseContentType: &mimeType, ResponseContentDisposition: aws.String(Disposition(fileName)),
	}, s3.WithPresignExpires(life))
	if err != nil {
		return "", fmt.Errorf("sign link: %w", err)
	}
	return signed.URL, nil
}

// UploadLink signs a URL that S3 takes the one file from: it compares length and hash.
func (b *Bucket) UploadLink(
	ctx context.Context, key string, size int64, sum [sha256.Size]byte, life time.Duration,
) (string, map[string]string, error) {
	if err := CheckKey(key); err != nil {
		return "", nil, err
	}
	signed, err := b.links.PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: &key, ContentLength: &size, ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}, s3.WithPresignExpires(life))
	if err != nil {
		return "", nil, fmt.Errorf("sign upload: %w", err)
	}
	headers := make(map[string]string)
	for name, values := range signed.SignedHeader {
		if !strings.EqualFold(name, "Host") && len(values) > 0 {
			headers[name] = values[0]
		}
	}
	return signed.URL, headers, nil
}

// Disposition is the header that has a browser save a file, under its name where it has one.
func Disposition(fileName string) string {
	if fileName == "" {
		return "attachment"
	}
	if header := mime.FormatMediaType("attachment", map[string]string{"filename": fileName}); header != "" {
		return header
	}
	return "attachment"
}

// partName tells the unfinished files of one key from each other.
func partName() string { return rand.Text() }
