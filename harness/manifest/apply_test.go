package manifest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A call that the API server does not answer in time is made again, a few times. Any other
// error, and the end of the caller's time, end it.
func TestCallsAreRepeated(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		late  int   // calls without an answer
		then  error // the answer
		bound time.Duration
		calls int
		want  error
	}{
		"answered":           {0, nil, time.Hour, 1, nil},
		"refused":            {0, refused, time.Hour, 1, refused},
		"late twice":         {2, nil, time.Hour, 3, nil},
		"late, then refused": {1, refused, time.Hour, 2, refused},
		"never":              {100, nil, time.Hour, callTries, context.DeadlineExceeded},
		"out of time":        {100, nil, callTimeout + time.Second, 2, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.bound)
				defer cancel()
				calls := 0
				err := call(ctx, func(ctx context.Context) error {
					if calls++; calls <= c.late {
						<-ctx.Done()
						return ctx.Err()
					}
					return c.then
				})
				if calls != c.calls || !errors.Is(err, c.want) {
					t.Errorf("%d calls, %v; want %d, %v", calls, err, c.calls, c.want)
				}
			})
		})
	}
}
