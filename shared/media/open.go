package media

import (
	"context"
	"fmt"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
)

// Config says where files are kept.
type Config struct {
	Folder   string
	Bucket   string // of S3; before the folder
	Endpoint string // another S3 than Amazon's
}

// Open returns the store that the config names, or nil if it names none: then there is no media in this installation.
func Open(ctx context.Context, c Config) (Store, error) {
	switch {
	case c.Bucket != "":
		aws, err := awsconfig.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, fmt.Errorf("load AWS settings: %w", err)
		}
		return NewBucket(aws, c.Bucket, c.Endpoint), nil
	case c.Folder != "":
		return OpenFolder(c.Folder)
	}
	return nil, nil //nolint:nilnil // none is a valid answer
}
