package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// One at a time has the lock. Who waits for it is told so, and need not wait for ever.
func TestTake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	release, err := Take(t.Context(), path, func() { t.Error("it waits for a lock that nobody has") })
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("given up")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, why)
	defer cancel()
	waited := 0
	if _, err := Take(ctx, path, func() { waited++ }); !errors.Is(err, why) || waited != 1 {
		t.Errorf("waited %d times: %v", waited, err)
	}
	got := make(chan error, 1)
	go func() {
		second, err := Take(t.Context(), path, func() { release() })
		if err == nil {
			second()
		}
		got <- err
	}()
	if err := <-got; err != nil {
		t.Error(err)
	}
	if _, err := Take(t.Context(), filepath.Join(path, "below"), nil); err == nil {
		t.Error("a lock in a folder that is none")
	}
}
