// Server.Shutdown with our advice: after SIGTERM, each response says Connection: close,
// and only after a while the server is shut down.
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

func main() {
	var draining atomic.Bool
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		if draining.Load() {
			ctx.SetConnectionClose()
		}
		fmt.Fprintf(ctx, "Hello, world! Requested path is %q", ctx.Path())
	}}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	done := make(chan error)
	go func() {
		<-ctx.Done()
		draining.Store(true)
		time.Sleep(6 * time.Second)
		done <- s.Shutdown()
	}()
	if err := s.ListenAndServe(":8080"); err != nil {
		log.Fatal(err)
	}
	if err := <-done; err != nil {
		log.Fatal(err)
	}
}
