// Command polyglot is a small server for a pod that speaks one of several protocols, with
// or without a planted defect. It is for testing a verifier of rolling updates, as is its
// sibling faulty, which speaks HTTP/1.1 on the raw wire.
//
// It is made of what others would use: net/http, grpc-go and gorilla/websocket. On
// SIGTERM it answers readiness with 503, and serves on for the propagation delay. Then it
// ends as its protocol promises:
//
//   - https: every response since SIGTERM has said "Connection: close"; requests in flight
//     are finished.
//   - h2c and h2: each connection has been told GOAWAY since SIGTERM, and what was promised
//     is finished.
//   - grpc: GOAWAY, and calls in flight are finished.
//   - websocket: each connection is closed with 1001.
//
// The defects break these promises:
//
//   - cuts: all connections end without a word.
//   - leaves: GOAWAY is sent, and the process exits with what it promised unanswered (h2c,
//     h2, grpc).
//
// Readiness and liveness are on a port of their own, over HTTP/1.1, so that they work
// whatever is spoken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

const (
	cuts   = "cuts"
	leaves = "leaves"
)

// protocols are what --speak can be, and the defects of each.
var protocols = map[string][]string{
	"https": {cuts}, "h2c": {cuts, leaves}, "h2": {cuts, leaves}, "grpc": {cuts, leaves}, "websocket": {cuts},
}

type options struct {
	listen, health, speak, defect, cert, key, pod string
	delay                                         time.Duration
}

func parse(args []string) (*options, error) {
	o := &options{pod: os.Getenv("POD_NAME")}
	f := flag.NewFlagSet("polyglot", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.listen, "listen", ":8080", "`address` to serve on")
	f.StringVar(&o.health, "health", ":8081", "`address` of readiness and liveness")
	f.StringVar(&o.speak, "speak", "", "`protocol`")
	f.StringVar(&o.defect, "defect", "", "`name` of the defect to have; none by default")
	f.StringVar(&o.cert, "cert", "/tls.crt", "`file` with the certificate (https, h2)")
	f.StringVar(&o.key, "key", "/tls.key", "`file` with its key")
	f.DurationVar(&o.delay, "propagation-delay", 5*time.Second, "how long everything goes on as before after SIGTERM")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	of, ok := protocols[o.speak]
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("there is nothing to do with %q; this command takes flags only", f.Args())
	case !ok:
		return nil, fmt.Errorf("--speak is %q; it can be https, h2c, h2, grpc or websocket", o.speak)
	case o.defect != "" && !slices.Contains(of, o.defect):
		return nil, fmt.Errorf("--defect is %q; of %s there are %s", o.defect, o.speak, strings.Join(of, ", "))
	}
	if o.pod == "" {
		o.pod, _ = os.Hostname() // empty is a name, too
	}
	return o, nil
}

// A speaker serves one protocol. It says nothing of the propagation delay.
type speaker interface {
	serve(net.Listener) error
	// part is called at SIGTERM: what is served from now on says so, if it can.
	part()
	// finish ends well; cut ends without a word; leave says goodbye and does not wait.
	finish(context.Context) error
	cut()
	leave()
}

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT) // from the start: a pod may be told to stop while it starts
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "polyglot:", err)
		os.Exit(exitUsage)
	}
	if err := run(o, signals); err != nil {
		fmt.Fprintln(os.Stderr, "polyglot:", err)
		os.Exit(exitFailed)
	}
}

func newSpeaker(o *options) (speaker, error) {
	switch o.speak {
	case "grpc":
		return newRPC(o), nil
	case "websocket":
		return newSockets(o), nil
	}
	return newWeb(o)
}

// drainTimeout bounds the end.
const drainTimeout = 20 * time.Second

func run(o *options, signals <-chan os.Signal) error {
	s, err := newSpeaker(o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	var parting atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/health/live", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/health/ready", func(w http.ResponseWriter, _ *http.Request) {
		if parting.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	health := &http.Server{Addr: o.health, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 2)
	go func() { failed <- health.ListenAndServe() }()
	go func() { failed <- s.serve(l) }()
	fmt.Fprintln(os.Stderr, "Listening on", l.Addr(), "and speaking", o.speak)
	select {
	case err := <-failed:
		return err
	case <-signals:
	}
	fmt.Fprintln(os.Stderr, "Received shutdown signal")
	parting.Store(true)
	if o.defect == "" {
		s.part()
	}
	time.Sleep(o.delay)
	switch o.defect {
	case cuts:
		s.cut()
		return nil
	case leaves:
		s.leave()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	return errors.Join(s.finish(ctx), health.Close())
}
