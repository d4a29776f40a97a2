package config

import "errors"

// Media is where the files of messages are kept. API and hosts have to be told the same.
type Media struct {
	Bucket     string `env:"MEDIA_BUCKET" desc:"S3 bucket for the files of messages"`
	Folder     string `env:"MEDIA_FOLDER" desc:"folder for the files of messages, where there is no bucket; in the data folder on a single machine"`
	S3Endpoint string `env:"S3_ENDPOINT"  desc:"another S3 than Amazon's; only in dev"`
}

// validateMedia checks the settings for a mode.
func (m Media) validateMedia(mode Mode) error {
	if m.S3Endpoint != "" && !mode.Dev() {
		return errors.New("S3_ENDPOINT needs WAFLEET_ENV=dev")
	}
	return nil
}
