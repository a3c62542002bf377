// Package relay lets a harness outside of a cluster make connections as a pod
// inside does. The pod's side is an HTTP handler that answers CONNECT (RFC 9110,
// section 9.3.6); the harness' side speaks it over any connection to that pod.
//
// An error of the dial inside arrives with its number, so that a refused
// connection is told from one that was not answered. After that bytes go both
// ways, and each way ends by itself; only a reset arrives as an end.
package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// dialTimeout bounds a dial inside.
	dialTimeout = 10 * time.Second
	// maxConnections bounds what one relay carries at once.
	maxConnections = 512
	// errnoHeader tells the number of the error of a dial, on Linux.
	errnoHeader = "X-Dial-Errno"
)

// Handler answers CONNECT requests, and hands on all others. Whoever reaches it
// reaches what its machine does: it belongs into a pod of a harness, for the time
// of a run.
func Handler(next http.Handler) http.Handler {
	slots := make(chan struct{}, maxConnections)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodConnect {
			next.ServeHTTP(w, req)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			connect(w, req)
		default:
			http.Error(w, "the relay carries its "+strconv.Itoa(maxConnections)+" connections already", http.StatusServiceUnavailable)
		}
	})
}

func connect(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), dialTimeout)
	defer cancel()
	inside, err := new(net.Dialer).DialContext(ctx, "tcp", req.Host)
	if err != nil {
		w.Header().Set(errnoHeader, strconv.Itoa(int(errno(err))))
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer inside.Close()
	outside, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer outside.Close()
	if err := outside.SetDeadline(time.Time{}); err != nil { // the server's own are for requests
		return
	}
	if _, err := io.WriteString(outside, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	var ways sync.WaitGroup
	ways.Go(func() { way(inside, buffered) }) // what was read along with the request comes first
	ways.Go(func() { way(outside, inside) })
	ways.Wait()
}

// way carries one direction to its end.
func way(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if c, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		err = c.CloseWrite()
	}
	if err != nil {
		// The other direction leads nowhere any more.
		_ = to.Close()
	}
}

// errno is the number of a failed dial; 0 if it has none.
func errno(err error) syscall.Errno {
	var e syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &timeout) && timeout.Timeout():
		return syscall.ETIMEDOUT
	}
	return 0
}
