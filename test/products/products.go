// Package products runs real products, such as Prometheus, as processes on loopback, and
// puts in front of them what makes them hard to recognise: a path prefix, TLS with a
// private CA, credentials, a login page, and servers that stall or lie. Tests ask them
// what other tests only assume.
//
// A product is a package of Debian's (scripts/requirements installs it), or is built once
// from its Go module (see Build).
package products

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// startTimeout is how long a product may take to answer, on a busy machine.
const startTimeout = 3 * time.Minute

// A Software is a product that can be run here.
type Software struct {
	Name    string // for files and tests: "prometheus"
	Product string // as people write it: "Prometheus"
	Kind    string // its kind in the rules; empty if it is none of them
	Setup   string // how it is run, in words
	Debian  string // the package of Debian's that has it; empty if it is built
	// OnDemand means that make products builds it, and nothing else does: it takes long.
	OnDemand bool
	// NoPrefix means that it can't be served below a path of its own.
	NoPrefix bool
	// Silent means that its answers don't say its version, at least without credentials.
	Silent bool

	find  func(context.Context) (program, version string, err error)
	setUp func(*run) error
	ready string // GET it below the prefix; 200 or 204 means that it is up
}

// A run is one that is being started.
type run struct {
	program string
	dir     string // empty, for its files
	port    int
	ports   []int // more, for its other listeners
	prefix  string
	args    []string
	env     []string
	helpers []*process
}

func (r *run) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// file writes a file into the directory of the run, and returns its path.
func (r *run) file(name, text string) (string, error) {
	path := r.dir + "/" + name
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// Options say how to start a product.
type Options struct {
	// Prefix is a path below which the product itself serves everything, such as
	// /prometheus.
	Prefix string
}

// A Product is one that runs.
type Product struct {
	Software *Software
	URL      string // with the prefix, without a slash at its end
	Version  string // as it is installed or was built

	main    *process
	helpers []*process
	dir     string
}

// Wanted reports whether tests should start it: not if it is built on demand, and was not.
func (s *Software) Wanted(t testing.TB) bool {
	t.Helper()
	if !s.OnDemand {
		return true
	}
	_, _, err := s.find(t.Context())
	if err != nil {
		t.Logf("without %s, which make products builds: %v", s.Name, err)
	}
	return err == nil
}

// Start starts a product, waits until it answers, and ends it with the test. A product
// that isn't installed skips the test, or fails it if TOOLSET_TEST_REQUIRE=1 is set.
func Start(t testing.TB, s *Software, o Options) *Product {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	p, err := s.Run(ctx, o)
	if errors.Is(err, errNotHere) && os.Getenv("TOOLSET_TEST_REQUIRE") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// Run starts a product and waits until it answers. Stop it when it is not needed any more.
func (s *Software) Run(ctx context.Context, o Options) (*Product, error) {
	if o.Prefix != "" && s.NoPrefix {
		return nil, fmt.Errorf("%s has no option for a path prefix: put a proxy in front of it", s.Product)
	}
	program, version, err := s.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	// Another program may take a port that was free, so this is tried again.
	for try := 0; ; try++ {
		p, err := s.run(ctx, program, o)
		if err == nil {
			p.Version = version
			return p, nil
		}
		if try == 2 || ctx.Err() != nil || !strings.Contains(err.Error(), "address already in use") {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
}

func (s *Software) run(ctx context.Context, program string, o Options) (_ *Product, err error) {
	dir, err := os.MkdirTemp("", "toolset-product-")
	if err != nil {
		return nil, err
	}
	p := &Product{Software: s, dir: dir}
	defer func() {
		if err != nil {
			p.Stop()
		}
	}()
	ports, err := freePorts(6)
	if err != nil {
		return nil, err
	}
	r := &run{program: program, dir: dir, port: ports[0], ports: ports[1:], prefix: o.Prefix}
	err = s.setUp(r)
	p.helpers = r.helpers
	if err != nil {
		return nil, err
	}
	if p.main, err = start(dir, r.program, r.args, r.env); err != nil {
		return nil, err
	}
	p.URL = "http://" + r.address() + r.prefix
	client := &http.Client{CheckRedirect: noRedirects, Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return p, p.main.wait(ctx, func(ctx context.Context) error { return up(ctx, client, p.URL+s.ready) })
}

func up(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only the status is wanted
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// Stop ends the product and removes its files.
func (p *Product) Stop() {
	if p.main != nil {
		p.main.stop()
	}
	for _, h := range p.helpers {
		h.stop()
	}
	_ = os.RemoveAll(p.dir)
}

// freePorts returns ports of 127.0.0.1 that were free, each another.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // it only held the port, until all are found
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
