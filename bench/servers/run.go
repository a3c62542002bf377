package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/client"
	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/server"
	"kubernaut.io/dynamic-toolset/bench/internal/sut"
	"kubernaut.io/dynamic-toolset/internal/host"
)

// A session is the state of one measurement.
type session struct {
	*settings
	dir     string
	spin    bool       // the client has a CPU to itself
	ours    server.Set // the answers of this service
	entries map[string]*entrant
	names   []string // keys of entries, in the order of server.Names
	result  *comparison.Result
	started map[string]bool // server and workload, if they have had a window
}

// An entrant is a running server with its requests and answers.
type entrant struct {
	name    string
	server  *server.Server
	answers server.Set
}

// cpuTime returns the CPU time that the server has used so far.
func (e *entrant) cpuTime() (time.Duration, error) { return host.CPUTime(e.server.PIDs()...) }

// measure starts the servers, measures them and returns the result.
func (s *settings) measure(ctx context.Context) (r *comparison.Result, err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "servers-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	m := &session{settings: s, dir: dir, entries: map[string]*entrant{}, started: map[string]bool{}}
	m.result = &comparison.Result{
		Command: s.command, Version: sut.Version(ctx), Host: host.Describe(), At: began.UTC().Truncate(time.Second), Load: host.Load(),
		Window: s.window.Seconds(), Connections: s.connections,
	}
	if err := client.AllowFiles(max(s.idle, s.connections)); err != nil {
		return nil, err
	}
	if s.binary == "" {
		say("building the service")
		if s.binary, err = sut.Build(ctx, dir); err != nil {
			return nil, err
		}
	}
	if s.priority {
		restore, failed := prefer()
		if failed != nil {
			return nil, failed
		}
		defer func() { err = errors.Join(err, restore()) }()
	}
	if err := m.place(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.stop()) }()
	if err := m.start(ctx); err != nil {
		return nil, err
	}
	say("it takes about %v from here", m.estimate().Round(time.Second))
	for _, part := range []func(context.Context) error{m.throughput, m.latencies, m.idles, m.overTLS, m.authentication} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	s.setTargets(m.result)
	say("done after %v", time.Since(began).Round(time.Second))
	return m.result, nil
}

// place chooses the CPUs and restricts this program to the client's.
func (m *session) place() error {
	all, err := cpus()
	if err != nil {
		return err
	}
	r := m.result
	if r.ServerCPU, r.ClientCPU, err = choose(all, m.serverCPU, m.clientCPU, siblings); err != nil {
		return err
	}
	m.spin = r.ServerCPU != r.ClientCPU
	switch {
	case !m.spin && len(all) == 1:
		say("there is one CPU only, which servers and client share: the client's work is in the answers per second and in the latencies, but not in the CPU seconds")
	case !m.spin:
		say("servers and client share CPU %d", r.ServerCPU)
	default:
		say("servers on CPU %d, client on CPU %d", r.ServerCPU, r.ClientCPU)
		if contains(siblings(r.ServerCPU), r.ClientCPU) {
			say("these are two threads of one core: each slows the other down")
			r.Host += " (server and client on two threads of one core)"
		}
	}
	return pin(r.ClientCPU)
}

// start starts the servers and checks that their answers are the same.
func (m *session) start(ctx context.Context) error {
	wanted := map[string]bool{}
	for _, name := range m.servers {
		wanted[name] = true
	}
	for _, name := range entrants() {
		if !always(name) && !wanted[name] {
			continue
		}
		e, err := m.enter(ctx, name, server.Options{Answers: m.ours}, m.ours)
		if errors.Is(err, server.ErrMissing) {
			say("%v", err)
			m.result.Missing = append(m.result.Missing, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		m.entries[name] = e
		m.names = append(m.names, name)
		m.describe(e)
		if name == server.Ours {
			m.ours = e.answers
		}
	}
	return nil
}

// enter starts one server and checks that its answers are the same as ours, unless that is
// nil. Another process of this service has found the toolsets at another time, which is in its
// answers, so that only their lengths can be compared.
func (m *session) enter(ctx context.Context, name string, o server.Options, ours server.Set) (e *entrant, err error) {
	o.Dir, o.CPU, o.Binary = m.dir, m.result.ServerCPU, m.binary
	e = &entrant{name: name}
	other := name == comparison.OursWithoutLoop
	if other {
		name = server.Ours
		o.Args = append(slices.Clip(o.Args), "--event-loop=off")
	}
	if e.server, err = server.Start(ctx, name, o); err != nil {
		return nil, err
	}
	if ours == nil || other {
		e.answers, err = server.Fetch(ctx, e.server.Addr(), o.Fields...)
		for _, w := range server.Workloads() {
			if want, got := ours[w].Size, e.answers[w].Size; err == nil && other && want != got {
				err = fmt.Errorf("%s: an answer of %d bytes instead of %d for %s", e.name, got, want, w)
			}
		}
	} else {
		e.answers, err = server.Verify(ctx, name, e.server.Addr(), ours, o.Fields...)
	}
	if err != nil {
		return nil, errors.Join(err, e.server.Stop())
	}
	return e, nil
}

// stop stops all servers.
func (m *session) stop() error {
	var all []error
	for _, name := range m.names {
		if err := m.entries[name].server.Stop(); err != nil {
			all = append(all, fmt.Errorf("stop %s: %w", name, err))
		}
	}
	return errors.Join(all...)
}

// about has the title and the note of each server.
var about = map[string][2]string{
	server.Ours:                  {"this service", "as it is shipped: request ids, metrics, limits, X-Served-By; health checks are off, so that answers don't change"},
	comparison.OursAuthenticated: {"this service, --auth=token", "asks the API server who calls and what they may; decisions are remembered"},
	comparison.OursWithoutLoop:   {"this service, no event loop", "with --event-loop=off: fasthttp answers everything"},
	server.FastHTTP:              {"bare fasthttp", "a fasthttp.Server with its defaults whose handler sets the fields and a ready body"},
	server.NetHTTP:               {"net/http", "http.Server and ServeMux with ready bodies"},
	server.Chi:                   {"net/http + chi", "http.Server and the chi router with ready bodies"},
	server.Nginx:                 {"nginx, static files", "one worker, no log, open files kept"},
	server.Limit:                 {"the limit, epoll in C", "one thread, one read and one write for each request, ready answers, and no checks at all"},
	server.Naive:                 {"the obvious approach", "net/http; JSON is made for each request, under a mutex"},
}

// describe adds the server to the result.
func (m *session) describe(e *entrant) {
	v := e.server.Version()
	if e.name == server.Ours || e.name == comparison.OursAuthenticated || e.name == comparison.OursWithoutLoop {
		v = m.result.Version + ", " + v
	}
	m.result.Servers = append(m.result.Servers, comparison.Server{Name: e.name, Title: about[e.name][0], Version: v, Note: about[e.name][1]})
}

// estimate returns how long the measurements will take.
func (m *session) estimate() time.Duration {
	windows := len(workloads) * len(m.names)
	if m.latency {
		windows += len(shares) * len(m.names)
	}
	d := time.Duration(windows*m.rounds) * (m.window + m.window/leadPart + m.window/10)
	if m.idle > 0 {
		d += time.Duration(min(m.rounds, maxIdleRounds)*len(m.names)) * 3 * time.Second
	}
	if m.auth {
		d += time.Duration(3*m.rounds)*m.window + 20*time.Second
	}
	return d
}
