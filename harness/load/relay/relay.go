// Package relay lets a harness outside of a cluster make connections from a pod inside.
// In the pod, a [Handler] answers CONNECT (RFC 9110, section 9.3.6). The harness calls
// [Dial] on any connection to that pod.
//
// If the dial in the pod fails, its error number is sent back, so that a refused
// connection can be told from one without an answer. Otherwise bytes are copied both
// ways, and each way ends by itself. A reset arrives as a plain end.
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
	// dialTimeout bounds a dial in the pod.
	dialTimeout = 10 * time.Second
	// maxConnections bounds the connections that a relay carries at once.
	maxConnections = 512
	// errnoHeader has the error number of a failed dial, on Linux.
	errnoHeader = "X-Dial-Errno"
)

// Handler answers CONNECT requests, and passes all others to next. It lets its clients
// reach everything that its host does, so it should run only in a pod of a harness, for
// the time of a run.
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
	if err := outside.SetDeadline(time.Time{}); err != nil { // they are the server's, for reading requests
		return
	}
	if _, err := io.WriteString(outside, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	var ways sync.WaitGroup
	ways.Go(func() { way(inside, buffered) }) // starts with what was read behind the request
	ways.Go(func() { way(outside, inside) })
	ways.Wait()
}

// way copies one direction until it ends.
func way(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if c, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		err = c.CloseWrite()
	}
	if err != nil {
		// Nothing that the other direction sends is read any more.
		_ = to.Close()
	}
}

// errno returns the error number of a failed dial; 0 if it has none.
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
