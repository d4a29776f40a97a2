package media

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// ErrNotFound is returned for files that are not, or no longer, in the store.
var ErrNotFound = errors.New("no such media file")

// memoryLimit bounds a store without a folder; the oldest files go first.
const memoryLimit = 256 << 20

const (
	pathPrefix = "/v/t62.7118-24/"
	fileMode   = 0o600
	dirMode    = 0o700
)

// Store keeps encrypted files by their hash, in a folder or in memory. It is safe for concurrent use.
type Store struct {
	dir string

	mu     sync.Mutex // guards the files in memory
	files  map[string][]byte
	oldest []string
	size   int
}

// NewStore makes a store in a folder, which it creates; without one it keeps up to 256 MiB in memory.
func NewStore(dir string) (*Store, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, dirMode); err != nil {
			return nil, fmt.Errorf("make media folder: %w", err)
		}
	}
	return &Store{dir: dir, files: make(map[string][]byte)}, nil
}

// Put keeps a file for an account and returns the path by which it is fetched. The path tells whose it is, so that faults
// can be meant for one account.
func (s *Store) Put(owner string, file []byte) (directPath string, err error) {
	hash := sha256.Sum256(file)
	name := hex.EncodeToString(hash[:])
	if err := s.keep(name, file); err != nil {
		return "", err
	}
	// Clients append "&hash=…" to it, so it must have a query already.
	return pathPrefix + name + "?ccb=11-4&oh=" + owner + "&oe=7FFFFFFF&_nc_sid=5e03e0", nil
}

func (s *Store) keep(name string, file []byte) error {
	if s.dir == "" {
		s.remember(name, file)
		return nil
	}
	temporary, err := os.CreateTemp(s.dir, ".upload-*")
	if err != nil {
		return fmt.Errorf("create media file: %w", err)
	}
	_, err = temporary.Write(file)
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), filepath.Join(s.dir, name))
	}
	if err != nil {
		return fmt.Errorf("keep media file: %w", errors.Join(err, os.Remove(temporary.Name())))
	}
	return nil
}

func (s *Store) remember(name string, file []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.files[name]; known {
		return
	}
	s.files[name] = file
	s.oldest = append(s.oldest, name)
	s.size += len(file)
	for s.size > memoryLimit && len(s.oldest) > 1 {
		s.size -= len(s.files[s.oldest[0]])
		delete(s.files, s.oldest[0])
		s.oldest = s.oldest[1:]
	}
}

// Get returns the file of a path; what follows a question mark does not matter.
func (s *Store) Get(directPath string) ([]byte, error) {
	path, _, _ := strings.Cut(directPath, "?")
	name, ok := strings.CutPrefix(path, pathPrefix)
	if hash, err := hex.DecodeString(name); !ok || err != nil || len(hash) != sha256.Size {
		return nil, fmt.Errorf("%w: malformed path", ErrNotFound)
	}
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		file, ok := s.files[name]
		if !ok {
			return nil, ErrNotFound
		}
		return file, nil
	}
	file, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read media file: %w", err)
	}
	return file, nil
}
