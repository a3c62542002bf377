package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// longest bounds a slow response.
	longest = time.Minute
	// moment is long enough for what was written to be sent, and too short for what is in
	// flight to end.
	moment = 100 * time.Millisecond
)

// A web serves HTTP.
type web struct {
	server  *http.Server
	pod     string
	parting atomic.Bool
	goodbye chan struct{}
}

func newWeb(o *options) (*web, error) {
	w := &web{pod: o.pod, goodbye: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(rw http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, io.LimitReader(req.Body, 1<<20)) // the answer is the same
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, "{}\n") // if the client is gone, it needs no answer
	})
	mux.HandleFunc("/slow", w.slow)
	mux.HandleFunc("/events", w.events)
	w.server = &http.Server{Handler: w.sayClose(mux), ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	switch o.speak {
	case "https":
		w.server.Protocols.SetHTTP1(true)
	case "h2":
		w.server.Protocols.SetHTTP2(true)
	case "h2c":
		w.server.Protocols.SetUnencryptedHTTP2(true)
		return w, nil
	}
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, err
	}
	w.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	return w, nil
}

// sayClose names the pod, and says in each response after SIGTERM that the connection
// ends. With HTTP/2, net/http sends GOAWAY then.
func (w *web) sayClose(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		rw.Header().Set("X-Served-By", w.pod)
		if w.parting.Load() {
			rw.Header().Set("Connection", "close")
		}
		next.ServeHTTP(rw, req)
	})
}

// slow answers after the time in the query.
func (w *web) slow(rw http.ResponseWriter, req *http.Request) {
	d, err := time.ParseDuration(req.URL.Query().Get("for"))
	if err != nil || d < 0 || d > longest {
		http.Error(rw, "for must be a duration up to a minute", http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(d):
	case <-req.Context().Done():
		return
	}
	if w.parting.Load() {
		rw.Header().Set("Connection", "close")
	}
	_, _ = io.WriteString(rw, "done\n") // if the client is gone, it needs no answer
}

// events sends an event a second, and a goodbye at the end.
func (w *web) events(rw http.ResponseWriter, req *http.Request) {
	rw.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		if _, err := fmt.Fprintf(rw, "data: %d\n\n", n); err != nil || http.NewResponseController(rw).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-req.Context().Done():
			return
		case <-w.goodbye:
			_, _ = io.WriteString(rw, "event: goodbye\ndata: 0\n\n") // if the client is gone, it needs none
			return
		}
	}
}

func (w *web) serve(l net.Listener) error {
	var err error
	if w.server.TLSConfig != nil {
		err = w.server.ServeTLS(l, "", "")
	} else {
		err = w.server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		select {} // the process ends when all is finished
	}
	return err
}

func (w *web) part() { w.parting.Store(true) }

func (w *web) finish(ctx context.Context) error {
	close(w.goodbye)
	return w.server.Shutdown(ctx)
}

func (w *web) cut() { _ = w.server.Close() } // the process ends

func (w *web) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), moment)
	defer cancel()
	_ = w.server.Shutdown(ctx) // it says GOAWAY; the process ends
}
