package message

// Media is a file that belongs to a message. Its bytes are in the media store, under its id.
type Media struct {
	ID       string `json:"mediaId"`
	MimeType string `json:"mimeType,omitempty"`
	FileName string `json:"fileName,omitempty"`
	Size     int64  `json:"size,omitempty"`
	SHA256   string `json:"sha256,omitempty"` // hex
	Seconds  int    `json:"seconds,omitempty"`
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
	Pages    int    `json:"pages,omitempty"`
	Animated bool   `json:"animated,omitempty"` // a video shown as a GIF, a moving sticker

	Thumbnail []byte `json:"thumbnail,omitempty"` // JPEG, of what we send
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
