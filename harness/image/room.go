package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// reserve is how much of a disk stays free, in bytes: other programs need some. Tests
// change it.
var reserve int64 = 512 << 20

// errNoRoom is wrapped if the disk is too small.
var errNoRoom = errors.New("it is too large")

// A room is how much may still be written to a disk.
type room struct {
	dir        string
	left, free int64
}

func newRoom(dir string) (*room, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, err
	}
	free := int64(st.Bavail) * st.Bsize // #nosec G115 -- a disk has less than 2^63 bytes
	return &room{dir: dir, free: free, left: free - reserve}, nil
}

// take takes some of the room.
func (r *room) take(n int64) error {
	if r.left -= n; r.left < 0 {
		return fmt.Errorf("%w: %s has %d MB free, of which %d MB stay free; set TMPDIR to a folder on a larger disk", errNoRoom, r.dir, r.free>>20, reserve>>20)
	}
	return nil
}

// write writes a new file.
func (r *room) write(ctx context.Context, name string, from io.Reader) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // #nosec G304 -- in a folder of our own
	if err != nil {
		return err
	}
	return errors.Join(r.copy(ctx, f, from), f.Close())
}

// copy copies in pieces, so that it ends soon if the room or ctx does.
func (r *room) copy(ctx context.Context, to io.Writer, from io.Reader) error {
	const piece = 4 << 20
	for {
		n, err := io.CopyN(to, from, piece)
		if e := r.take(n); e != nil {
			return e
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
