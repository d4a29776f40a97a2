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
}
