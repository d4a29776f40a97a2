package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is a Store in a local folder that only our user can read.
type Folder struct{ root *os.Root }

var _ Store = (*Folder)(nil)

// OpenFolder opens a store in a folder, which is made if it is not there. Several processes may share it.
func OpenFolder(path string) (*Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make media folder: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open media folder: %w", err)
	}
	return &Folder{root: root}, nil
}

// Close gives the folder back.
func (f *Folder) Close() error {
	if err := f.root.Close(); err != nil {
		return fmt.Errorf("close media folder: %w", err)
	}
	return nil
}

// Put writes the file beside its place and moves it there when it is safely on the disk.
func (f *Folder) Put(ctx context.Context, o Object) (err error) {
	if err := CheckKey(o.Key); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep file: %w", err)
		}
	}()
	if err := f.root.MkdirAll(filepath.Dir(o.Key), 0o700); err != nil {
		return err //nolint:wrapcheck // wrapped above
	}
	part := o.Key + "." + partName()
	file, err := f.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // wrapped above
	}
	written, err := io.Copy(file, reader{ctx, o.Body})
	if err == nil && written != o.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.root.Rename(part, o.Key)
	}
	if err != nil {
		return errors.Join(err, f.root.Remove(part))
	}
	return nil
}

// Open opens the file.
func (f *Folder) Open(_ context.Context, key string) (io.ReadCloser, int64, error) {
	if err := CheckKey(key); err != nil {
		return nil, 0, err
	}
	file, err := f.root.Open(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, ErrNotFound
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open file: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open file: %w", err), file.Close())
	}
	return file, info.Size(), nil
}

// Delete removes the file.
func (f *Folder) Delete(_ context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := f.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete file: %w", err)
	}
	return nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context //nolint:containedctx // of the one copy that it is made for
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err //nolint:wrapcheck // the copy's caller wraps it
	}
	return r.r.Read(p) //nolint:wrapcheck // as it is
}
