package conntrack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	path = "/connections"
	// heartbeat is how often the server says something, so that its client notices when
	// it is gone.
	heartbeat = time.Second
	// waiting is how many lines may wait for a client that doesn't read. To begin with there
	// is one for each connection that exists, which are thousands on a busy node.
	waiting = 65536
	// writeTimeout is how long a client may not read.
	writeTimeout = 10 * time.Second
)

// Handler answers GET /connections with the connections that the query's [Filter] lets
// through, a line of JSON each, until the client goes. All other requests it passes to next. It must run in the network namespace of the client's node, with
// CAP_NET_ADMIN.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != path {
			next.ServeHTTP(w, req)
			return
		}
		f, err := parseFilter(req.URL.Query())
		if err != nil {
			http.Error(w, "ask for "+path+"?client=IP&service=IP:PORT, or ?port=PORT: "+err.Error(), http.StatusBadRequest)
			return
		}
		serve(w, req, f)
	})
}

func serve(w http.ResponseWriter, req *http.Request, f Filter) {
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	lines := make(chan line, waiting)
	ended := make(chan error, 1)
	go func() {
		// The kernel drops events that nobody reads. So this doesn't wait for the client.
		ended <- watch(ctx, f, func(l line) error {
			select {
			case lines <- l:
				return nil
			default:
				return fmt.Errorf("the harness did not read %d lines", waiting)
			}
		})
	}()
	out := http.NewResponseController(w)
	write := func(v any) {
		text := []byte{'\n'}
		if v != nil {
			var err error
			if text, err = json.Marshal(v); err != nil {
				cancel(err)
				return
			}
			text = append(text, '\n')
		}
		err := out.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = w.Write(text)
		}
		if err == nil && len(lines) == 0 {
			err = out.Flush()
		}
		if err != nil {
			cancel(err)
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case l := <-lines:
			write(l)
		case <-tick.C:
			write(nil)
		case err := <-ended:
			for len(lines) > 0 {
				write(<-lines)
			}
			if req.Context().Err() == nil {
				write(line{Error: err.Error()})
			}
			return
		}
	}
}
