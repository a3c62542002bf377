package agent

import (
	"errors"
	"sync"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// maxBuffered bounds the requests that the agent keeps while the harness takes none:
// half an hour's at 500 per second. The load never waits for the harness, as its rate
// would no longer be constant.
const maxBuffered = 1 << 20

var errOverflow = errors.New("the harness did not take the requests quickly enough and the agent's buffer is full: lower the rate, or find what holds the harness up")

// A buffer holds requests on their way from the load to the harness.
type buffer struct {
	mu       sync.Mutex
	requests []record.Request
	limit    int
	overflow func() // called once, when the limit is reached
	full     bool
}

func (b *buffer) add(r record.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.full:
	case len(b.requests) >= b.limit:
		b.full = true
		b.overflow()
	default:
		b.requests = append(b.requests, r)
	}
}

// take returns the requests in the buffer, which reuses the memory of spare.
func (b *buffer) take(spare []record.Request) []record.Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.requests
	b.requests = spare[:0]
	return taken
}
