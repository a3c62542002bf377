// Command loadagent sends load: as an agent in a pod, which a harness drives (package
// agent), or by hand. See --help.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/harness/conntrack"
	"kubernaut.io/dynamic-toolset/harness/load/agent"
	"kubernaut.io/dynamic-toolset/harness/load/relay"
)

const usage = `Usage: loadagent [--listen ADDRESS] [--connections]
       loadagent run --config FILE [--for DURATION] [--records FILE]

Without a command it is an agent: it waits for a harness that tells it what load
to send (POST /run), and ends on SIGTERM or SIGINT. It also relays connections
(CONNECT) for a harness that is outside of the pod's network.

  --listen ADDRESS   where to listen; default :9000
  --connections      also tell to which pod of a Service each connection of a client
                     was sent (GET /connections?client=IP&service=IP:PORT), as the
                     node's connection tracking knows it. It takes a pod in the network
                     of the client's node (hostNetwork) with CAP_NET_ADMIN

With run it sends the load of a configuration and prints a table of the outcomes.
Ctrl-C ends it early. The exit code is 1 if a request was lost, 2 if the load could
not be sent as configured.

  --config FILE      the configuration, JSON; - is standard input
  --for DURATION     how long; default 10s
  --records FILE     where to write each request and its outcome, a line of JSON each

A configuration:

  {
    "address": "127.0.0.1:8080",
    "podHeader": "X-Served-By",
    "clients": [
      {"class": "pooled", "rate": 160, "connections": 20},
      {"class": "blind", "rate": 160, "connections": 20},
      {"class": "new", "rate": 150},
      {"class": "slow", "rate": 5, "duration": "8s"},
      {"class": "stream", "connections": 8}
    ],
    "targets": [
      {"path": "/api/v1/toolsets", "expectJSON": true},
      {"path": "/nothing", "expectStatus": 404, "expectProblem": true, "weight": 1},
      {"path": "/slow?for={duration}", "classes": ["slow"]},
      {"path": "/api/v1/toolsets/watch", "classes": ["stream"]}
    ]
  }

Other protocols: "protocol" is "http/1.1" (default), "h2", "grpc" or "websocket";
"tls" is {} for TLS, or {"ca": PEM, "insecure": true, "serverName": NAME}. A target of
gRPC has a "path" like /grpc.health.v1.Health/Check, and JSON as its "body":

  {"address": "127.0.0.1:8443", "protocol": "h2", "tls": {"insecure": true},
   "clients": [{"class": "pooled", "rate": 100}],
   "targets": [{"path": "/orders", "method": "POST", "body": "{}", "expectStatus": 201}]}
`

// Exit codes.
const (
	exitLost   = 1
	exitFailed = 2
)

func main() { os.Exit(command(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func command(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	lost := 0
	var err error
	if len(args) > 0 && args[0] == "run" {
		lost, err = byHand(ctx, args[1:], stdin, stdout, stderr)
	} else {
		err = serve(ctx, args, stdout, stderr)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "loadagent:", err)
		return exitFailed
	case lost > 0:
		return exitLost
	}
	return 0
}

// parse parses flags. With --help, it prints the usage on stdout.
func parse(flags *flag.FlagSet, args []string, stdout io.Writer) error {
	flags.SetOutput(io.Discard) // the error is printed
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
	case err != nil:
		return fmt.Errorf("%w (see --help)", err)
	case flags.NArg() > 0:
		return fmt.Errorf("unknown argument %q (see --help)", flags.Arg(0))
	}
	return err
}

var errTold = errors.New("the agent was told to end by a signal")

// serve runs the agent until ctx ends.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("loadagent", flag.ContinueOnError)
	listen := flags.String("listen", ":9000", "")
	connections := flags.Bool("connections", false, "")
	if err := parse(flags, args, stdout); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	fmt.Fprintln(stderr, "listening on", listener.Addr())
	a := agent.New()
	handler := relay.Handler(a)
	if *connections {
		// No relay: it would let all who reach the node into the node's own network.
		handler = conntrack.Handler(a)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// The harness is told that its run is incomplete, and has a moment to receive that.
	// Requests in flight are given up, since a pod that is told to end has no time for
	// them.
	a.Abort(errTold)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
		return err
	} else if err != nil {
		return err
	}
	return nil
}

// writeRecords returns a function that writes a line of JSON to path, and one that
// closes the file.
func writeRecords(path string) (write func(any) error, end func() error, err error) {
	if path == "" {
		return func(any) error { return nil }, func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--records: %w", err)
	}
	return json.NewEncoder(f).Encode, f.Close, nil
}
