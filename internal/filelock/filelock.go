// Package filelock lets processes of one host take turns, as caches need it that several
// checkouts share.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// interval is how often a lock that another has is tried again.
const interval = 200 * time.Millisecond

// Take takes an exclusive lock of a file, which it creates if necessary, and returns the
// function that releases it. The lock (flock) ends with the process, so that one that was
// killed blocks nobody. If another has it, waiting is called once; it may be nil. If ctx
// ends first, the error wraps its cause.
func Take(ctx context.Context, path string, waiting func()) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) // #nosec G115 -- a descriptor
		if err == nil {
			return func() { _ = f.Close() }, nil // closing the last descriptor unlocks
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("another process has the lock %s: %w", path, context.Cause(ctx))
		case <-time.After(interval):
		}
	}
}
