// Server.Shutdown as its documentation says: CloseOnShutdown, with timeouts for reading
// and for idle connections. https://pkg.go.dev/github.com/valyala/fasthttp#Server.Shutdown
package main

import (
	"context"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

func main() {
	s := &fasthttp.Server{
		Handler:         func(ctx *fasthttp.RequestCtx) { fmt.Fprintf(ctx, "Hello, world! Requested path is %q", ctx.Path()) },
		CloseOnShutdown: true,
		ReadTimeout:     5 * time.Second,
		IdleTimeout:     10 * time.Second,
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	done := make(chan error)
	go func() {
		<-ctx.Done()
		done <- s.Shutdown()
	}()
	if err := s.ListenAndServe(":8080"); err != nil {
		log.Fatal(err)
	}
	if err := <-done; err != nil {
		log.Fatal(err)
	}
}
