// Command gateway is an HTTP/1.1 proxy for a pod with one planted defect. It is what a
// verification with a proxy in the path must find.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// A defect is what the proxy does wrong.
type defect string

const (
	none          defect = ""
	sendsOnClosed defect = "sends-on-closed" // keeps connections to pods, does not look at them, and does not send again
	exitsAtOnce   defect = "exits-at-once"   // on SIGTERM
)

// propagationDelay is for how long it goes on as before after SIGTERM.
const propagationDelay = 6 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("gateway", flag.ContinueOnError)
	listen := f.String("listen", ":8080", "`address` to serve on")
	target := f.String("target", "", "`HOST:PORT` to send requests to; every address of the host is used in turn")
	name := f.String("defect", "", "`name` of the defect: sends-on-closed or exits-at-once; none by default")
	if err := f.Parse(args); err != nil {
		return err
	}
	d := defect(*name)
	if !slices.Contains([]defect{none, sendsOnClosed, exitsAtOnce}, d) {
		return fmt.Errorf("there is no defect %q; there are: sends-on-closed, exits-at-once", d)
	}
	host, port, err := net.SplitHostPort(*target)
	if err != nil {
		return fmt.Errorf("--target: %w", err)
	}
	addresses, err := net.LookupHost(host)
	if err != nil {
		return fmt.Errorf("--target: %w", err)
	}
	for i, a := range addresses {
		addresses[i] = net.JoinHostPort(a, port)
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	log.Printf("from %s to %v", l.Addr(), addresses)
	p := &proxy{addresses: addresses, defect: d}
	if d == sendsOnClosed {
		p.warm(maxIdle / 2)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.accept(l) }()
	if d == exitsAtOnce {
		return <-ended
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	select {
	case err := <-ended:
		return err
	case <-signals:
	}
	p.stopping.Store(true) // each response announces the close
	time.Sleep(propagationDelay)
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	p.drain()
	return nil
}
