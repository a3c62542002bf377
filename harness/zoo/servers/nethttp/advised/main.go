// The example of Server.Shutdown with our advice: after SIGTERM, readiness fails and each
// response says Connection: close, and only after a while the server is shut down.
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	var draining atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, "Hello, world!\n")
	})
	mux.HandleFunc("/ready", func(w http.ResponseWriter, req *http.Request) {
		if draining.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, req *http.Request) {
		d, err := time.ParseDuration(req.URL.Query().Get("for"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(min(d, 10*time.Second))
		io.WriteString(w, "Hello at last.\n")
	})
	srv := http.Server{Addr: ":8080", Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		mux.ServeHTTP(w, req)
	})}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	done := make(chan error)
	go func() {
		<-ctx.Done()
		draining.Store(true)
		time.Sleep(6 * time.Second)
		limit, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		done <- srv.Shutdown(limit)
	}()
	if err := srv.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	if err := <-done; err != nil {
		log.Fatal(err)
	}
}
