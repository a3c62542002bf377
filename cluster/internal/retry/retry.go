// Package retry decides how long to wait before a failed call to an API server is tried
// again.
//
// The pauses are short on purpose. client-go's own grow to a minute, to spare an API
// server that is starting; but one list for each replica does not keep it from starting.
package retry

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Denied is the pause if a right is missing. Somebody must grant it, and will then watch
// the log.
const Denied = 10 * time.Second

// Backoff returns the pauses between the tries of a list or watch: 200 ms, doubled up to 2 s.
func Backoff() wait.Backoff {
	return wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 100, Cap: 2 * time.Second}
}

// Sleep waits for d and reports true, or false if ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Jitter returns d plus or minus a random part of up to fraction of it.
func Jitter(d time.Duration, fraction float64) time.Duration {
	return time.Duration(float64(d) * (1 + fraction*(2*rand.Float64()-1))) // #nosec G404 -- no secret
}
