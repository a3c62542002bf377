package transport

import (
	"io"
	"testing"
	"time"
)

// A deadline of the socket that passes too early is set again: the connection lives for
// much longer than a request may take.
func TestDeadlinesThatPassEarly(t *testing.T) {
	client, r := served(t, func(o *Options) {
		o.Limits = Limits{ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second}
	})
	for range 2 {
		for _, ask := range []string{askOne, askAll} {
			io.WriteString(client, ask[:10]) //nolint:errcheck // the read tells
			time.Sleep(600 * time.Millisecond)
			io.WriteString(client, ask[10:]) //nolint:errcheck // as above
			wantBody(t, r, nil)
			time.Sleep(600 * time.Millisecond)
		}
	}
}
