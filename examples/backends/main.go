// Command backends stands in for the back ends of examples/cluster, for those who try the
// service without a cluster (make run). It answers on ports of a loopback address as real products
// have answered, each by the name of its Service, and runs a DNS server that knows these
// names, for the service's --dns-server.
//
// It prints the address of the DNS server when all is ready, and runs until its standard
// input ends or it gets a signal. So it ends with the process that holds the other end of
// a pipe, however that one ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

func main() {
	recorded := flag.String("recorded", "service/identity/testdata/recorded", "`folder` with what real products have answered")
	dns := flag.String("dns", "127.0.0.1:0", "`address` (IP:port) of the DNS server; port 0 chooses a free one")
	address := flag.String("address", "127.0.0.1", "IPv4 `address` of the back ends")
	flag.Parse()
	caught := []os.Signal{syscall.SIGTERM}
	// Ctrl-C at the terminal is also for the service, which must be able to stop in peace. So
	// scripts/run starts this program with SIGINT ignored.
	if !signal.Ignored(syscall.SIGINT) {
		caught = append(caught, syscall.SIGINT)
	}
	ctx, stop := signal.NotifyContext(context.Background(), caught...)
	defer stop()
	go func() { // it ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin) // an error is an end, too
		stop()
	}()
	at, err := netip.ParseAddr(*address)
	if err == nil && !at.Is4() {
		err = fmt.Errorf("--address is %s; it must be an IPv4 address", at)
	}
	if err == nil {
		err = run(ctx, at, *recorded, *dns, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "backends:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, at netip.Addr, recorded, dns string, ready, tell io.Writer) error {
	sites, names, err := open(ctx, at, standIns, os.DirFS(recorded), tell)
	if err != nil {
		return err
	}
	server, err := listenDNS(ctx, dns, at, names)
	if err != nil {
		closeAll(sites)
		return err
	}
	var all sync.WaitGroup
	for _, s := range sites {
		all.Go(func() { s.run(ctx) })
	}
	all.Go(func() { server.run(ctx) })
	_, err = fmt.Fprintln(ready, server.address())
	if err == nil {
		all.Wait()
	}
	return err
}
