package message

// Media is the file of a message. It is kept apart (package media); a message only refers to it.
type Media struct {
	ID       string `json:"id,omitempty"` // in our store
	MimeType string `json:"mimeType"`
	FileName string `json:"fileName,omitempty"`
	Size     int64  `json:"size,omitempty"` // bytes
	SHA256   []byte `json:"sha256,omitempty"`

	Seconds   int    `json:"seconds,omitempty"` // how long it plays
	Width     int    `json:"width,omitempty"`
	Height    int    `json:"height,omitempty"`
	Thumbnail []byte `json:"thumbnail,omitempty"` // JPEG
}

// Upload is where WhatsApp keeps an encrypted copy of a file, and the key to it. Everybody who has it can read the file.
type Upload struct {
	URL           string `json:"url"`
	DirectPath    string `json:"directPath"`
	MediaKey      []byte `json:"mediaKey"`
	FileSHA256    []byte `json:"fileSha256"`
	FileEncSHA256 []byte `json:"fileEncSha256"`
	FileLength    int64  `json:"fileLength"`
	UploadedAt    int64  `json:"uploadedAt"` // Unix seconds
}

// UploadContext is the associated data that an Upload is sealed with.
func UploadContext(mediaID string, kind Kind) string {
	return "media_uploads.upload|" + mediaID + "|" + string(kind)
}
