package media

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxUpload is how long an encrypted file may be.
const maxUpload = 128 << 20

// Host is the name under which clients reach the media servers.
const Host = "mmg.whatsapp.net"

// Handler serves uploads and downloads.
type Handler struct {
	Store *Store
	// Owner tells whose upload token this is; false refuses the upload.
	Owner func(token string) (account string, ok bool)
	// Refuse tells whether a request about an account's file is refused with 401.
	Refuse func(account string) bool
}

// uploaded is the answer to an upload.
type uploaded struct {
	URL        string `json:"url"`
	DirectPath string `json:"direct_path"`
	Handle     string `json:"handle"`
}

// Register adds the handler's routes.
func (h *Handler) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /mms/{type}/{hash}", h.upload)
	mux.HandleFunc("GET "+pathPrefix+"{name}", h.download)
}

func (h *Handler) upload(w http.ResponseWriter, r *http.Request) {
	account, ok := h.Owner(r.URL.Query().Get("auth"))
	if !ok || h.Refuse(account) {
		http.Error(w, "not authorized", http.StatusUnauthorized)
		return
	}
	file, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
	if err != nil {
		http.Error(w, "cannot read the file", http.StatusRequestEntityTooLarge)
		return
	}
	hash := sha256.Sum256(file)
	if !sameHash(r.PathValue("hash"), hash) {
		http.Error(w, "the file does not have this hash", http.StatusBadRequest)
		return
	}
	path, err := h.Store.Put(account, file)
	if err != nil {
		http.Error(w, "cannot keep the file", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(uploaded{URL: "https://" + Host + path, DirectPath: path, Handle: r.PathValue("hash")})
}

func (h *Handler) download(w http.ResponseWriter, r *http.Request) {
	if h.Refuse(r.URL.Query().Get("oh")) {
		http.Error(w, "not authorized", http.StatusUnauthorized)
		return
	}
	file, err := h.Store.Get(r.URL.Path)
	switch {
	case errors.Is(err, ErrNotFound):
		http.Error(w, "not found", http.StatusNotFound)
	case err != nil:
		http.Error(w, "cannot read the file", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}
}

// sameHash compares a hash with its spelling in an address: base64 for URLs, padded or not.
func sameHash(spelled string, hash [sha256.Size]byte) bool {
	decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(spelled, "="))
	return err == nil && bytes.Equal(decoded, hash[:])
}
