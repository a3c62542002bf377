package image

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tempPrefix begins the names of the folders for images.
	tempPrefix = "dynamic-toolset-image-"
	// abandonedAfter is how old a folder without a lock must be to be one of a process
	// that was killed, and not one that is being made.
	abandonedAfter = time.Minute
)

// Temp is a temporary folder for an image.
type Temp struct {
	Dir  string
	lock *os.File // the folder; its lock ends with the process
}

// NewTemp makes a folder. It must be closed. If this process is killed, another one
// removes it at its next call.
func NewTemp() (*Temp, error) {
	removeAbandoned()
	dir, err := os.MkdirTemp("", tempPrefix)
	if err != nil {
		return nil, err
	}
	t := &Temp{Dir: dir}
	if t.lock, err = os.Open(dir); err == nil {
		err = unix.Flock(int(t.lock.Fd()), unix.LOCK_SH|unix.LOCK_NB) // #nosec G115 -- a descriptor
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Close removes the folder.
func (t *Temp) Close() error {
	if t == nil {
		return nil
	}
	err := os.RemoveAll(t.Dir)
	if t.lock != nil {
		err = errors.Join(err, t.lock.Close())
	}
	return err
}

// removeAbandoned removes the folders of processes that were killed. What can't be
// removed is left.
func removeAbandoned() {
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*"))
	for _, dir := range old {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < abandonedAfter {
			continue
		}
		f, err := os.Open(dir) // #nosec G304 -- in the folder for temporary files
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil { // #nosec G115 -- a descriptor
			_ = os.RemoveAll(dir)
		}
		_ = f.Close() // only read
	}
}
