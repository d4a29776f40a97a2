package media

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"wafleet/infra/wasim/internal/content"
)

// ErrDamaged marks a file that is not what the message says it is.
var ErrDamaged = errors.New("media file is damaged")

const (
	macSize = 10
	keySize = 32
)

// purposes name what a key is for; files of each type are encrypted under keys of their own.
var purposes = map[content.Type]string{
	content.Image: "WhatsApp Image Keys", content.Sticker: "WhatsApp Image Keys",
	content.Video: "WhatsApp Video Keys",
	content.Audio: "WhatsApp Audio Keys", content.Voice: "WhatsApp Audio Keys",
	content.Document: "WhatsApp Document Keys",
}

// Sealed is an encrypted file and what a message tells about it.
type Sealed struct {
	File          []byte
	Key           []byte
	FileSHA256    []byte
	FileEncSHA256 []byte
}

type fileKeys struct {
	iv, cipher, mac []byte
}

func derive(key []byte, kind content.Type) (fileKeys, error) {
	purpose, ok := purposes[kind]
	if !ok || len(key) != keySize {
		return fileKeys{}, fmt.Errorf("%w: no key for %s", ErrDamaged, kind)
	}
	long, err := hkdf.Key(sha256.New, key, nil, purpose, 112)
	if err != nil {
		return fileKeys{}, fmt.Errorf("derive media keys: %w", err)
	}
	return fileKeys{iv: long[:16], cipher: long[16:48], mac: long[48:80]}, nil
}

// Seal encrypts a file under a fresh key.
func Seal(plaintext []byte, kind content.Type) (Sealed, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	keys, err := derive(key, kind)
	if err != nil {
		return Sealed{}, err
	}
	block, err := aes.NewCipher(keys.cipher)
	if err != nil {
		return Sealed{}, fmt.Errorf("prepare media cipher: %w", err)
	}
	padding := aes.BlockSize - len(plaintext)%aes.BlockSize
	file := make([]byte, len(plaintext)+padding, len(plaintext)+padding+macSize)
	copy(file, plaintext)
	for i := len(plaintext); i < len(file); i++ {
		file[i] = byte(padding)
	}
	cipher.NewCBCEncrypter(block, keys.iv).CryptBlocks(file, file)
	file = append(file, keys.sum(file)...)
	plainHash, fileHash := sha256.Sum256(plaintext), sha256.Sum256(file)
	return Sealed{File: file, Key: key, FileSHA256: plainHash[:], FileEncSHA256: fileHash[:]}, nil
}

// Open decrypts the file that a message refers to, and checks all the hashes that the message tells.
func Open(file []byte, ref content.File, kind content.Type) ([]byte, error) {
	keys, err := derive(ref.GetMediaKey(), kind)
	if err != nil {
		return nil, err
	}
	if hash := sha256.Sum256(file); !hmac.Equal(hash[:], ref.GetFileEncSHA256()) {
		return nil, fmt.Errorf("%w: other hash", ErrDamaged)
	}
	body := len(file) - macSize
	if body < aes.BlockSize || body%aes.BlockSize != 0 || !hmac.Equal(file[body:], keys.sum(file[:body])) {
		return nil, fmt.Errorf("%w: wrong authentication code", ErrDamaged)
	}
	block, err := aes.NewCipher(keys.cipher)
	if err != nil {
		return nil, fmt.Errorf("prepare media cipher: %w", err)
	}
	plaintext := make([]byte, body)
	cipher.NewCBCDecrypter(block, keys.iv).CryptBlocks(plaintext, file[:body])
	padding := int(plaintext[body-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, fmt.Errorf("%w: bad padding", ErrDamaged)
	}
	plaintext = plaintext[:body-padding]
	if hash := sha256.Sum256(plaintext); !hmac.Equal(hash[:], ref.GetFileSHA256()) {
		return nil, fmt.Errorf("%w: other content", ErrDamaged)
	}
	return plaintext, nil
}

// sum authenticates a ciphertext.
func (k fileKeys) sum(body []byte) []byte {
	mac := hmac.New(sha256.New, k.mac)
	mac.Write(k.iv)
	mac.Write(body)
	return mac.Sum(nil)[:macSize]
}
