package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/client"
	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/server"
	"kubernaut.io/dynamic-toolset/bench/internal/stats"
)

const (
	// Before each window, requests are sent for 1/leadPart of a window. Before the first
	// window of a server with a workload it is 1/firstLeadPart, as its memory still grows.
	leadPart, firstLeadPart = 20, 2
	pipelined               = 16
	// patience is client.Options.Patience. It is long enough for a server that has to wait
	// for a busy CPU.
	patience = time.Minute
)

// A workload is a workload of package server with a way to send it.
type workload struct {
	name      string
	answer    string // name of the workload in package server
	title     string // may have %s for the size of the body
	pipelined int    // requests sent at once; 0 without pipelining
	tls       bool
	close     bool // a new connection for each request
}

var workloads = []workload{
	{name: comparison.ByName, answer: server.ByName, title: "GET by name, %s"},
	{name: comparison.NotModified, answer: server.NotModified, title: "GET by name, unchanged (304)"},
	{name: comparison.List4K, answer: server.List4K, title: "list of a namespace, %s"},
	{name: comparison.List400K, answer: server.List400K, title: "list of all, %s"},
	{name: comparison.ByNamePipelined, answer: server.ByName, title: "GET by name, %s, 16 at once", pipelined: pipelined},
	{name: comparison.ByNameNew, answer: server.ByName, title: "GET by name, %s, new connections", close: true},
	{name: "list-4k-new", answer: server.List4K, title: "list of a namespace, %s, new connections", close: true},
}

// describe returns the workload for the result. a is its answer.
func (w *workload) describe(a server.Answer) comparison.Workload {
	title := w.title
	if len(a.Body) > 0 {
		title = fmt.Sprintf(w.title, size(len(a.Body)))
	}
	return comparison.Workload{
		Name: w.name, Title: title, Status: a.Status, Body: len(a.Body), Response: a.Size,
		Pipelined: max(1, w.pipelined), NewConnections: w.close,
	}
}

// size formats a number of bytes in B or, from 1,000 on, in KB of 1,000 bytes.
func size(bytes int) string {
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.0f KB", float64(bytes)/1000)
}

// options returns the client's options for a window of a server with a workload.
func (m *session) options(e *entrant, w *workload) client.Options {
	a := e.answers[w.answer]
	o := client.Options{
		Addr: strings.TrimPrefix(e.server.Addr(), "https://"), Exchange: client.Exchange{Request: a.Request, Status: a.Status, Body: a.Body},
		Connections: m.connections, Pipelined: w.pipelined, NewConnections: w.close,
		Lead: m.window / leadPart, Window: m.window, Patience: patience, Spin: m.spin, CPU: e.cpuTime,
	}
	if w.close {
		o.Exchange.Request = a.Close
	}
	if key := e.name + " " + w.name; !m.started[key] {
		m.started[key] = true
		o.Lead = m.window / firstLeadPart
	}
	return o
}

// throughput measures all workloads in closed loops.
func (m *session) throughput(ctx context.Context) error {
	for _, w := range workloads {
		m.result.Workloads = append(m.result.Workloads, w.describe(m.ours[w.answer]))
	}
	all, err := m.closed(ctx, workloads, m.names, m.entries)
	if err != nil {
		return err
	}
	m.result.Throughput = append(m.result.Throughput, all...)
	if doubt := m.disturbed(); doubt != "" {
		say("%s", doubt)
		m.result.Host += " (" + doubt + ")"
	}
	return nil
}

// undisturbed is the least share of its CPU that the reference uses, under full load, if no
// other program uses that CPU.
const undisturbed = 0.9

// disturbed returns a message if other programs seem to have used the servers' CPU.
func (m *session) disturbed() string {
	all := rounds(m.result, comparison.Reference, comparison.ByName)
	share := stats.Median(each(all, func(r comparison.Round) float64 { return r.CPU / r.Seconds }))
	busy := stats.Median(each(all, func(r comparison.Round) float64 { return r.ClientBusy }))
	if !m.spin || share >= undisturbed || busy >= undisturbed {
		return ""
	}
	return fmt.Sprintf("other programs used the CPUs, too: asked without a pause, bare fasthttp had %.0f %% of its own; trust ratios more than times, and use a quiet machine or --priority for better ones", 100*share)
}

// closed measures one window of a closed loop for each server and workload in each round.
func (m *session) closed(ctx context.Context, list []workload, names []string, entries map[string]*entrant) ([]comparison.Throughput, error) {
	rounds := map[[2]string][]comparison.Round{}
	for round := range m.rounds {
		for i := range list {
			w := &list[i]
			say("round %d of %d: %s", round+1, m.rounds, w.name)
			for _, name := range turns(names, round) {
				r, err := m.ask(ctx, entries[name], w)
				if err != nil {
					return nil, err
				}
				key := [2]string{name, w.name}
				rounds[key] = append(rounds[key], r)
			}
		}
	}
	var all []comparison.Throughput
	for i := range list {
		for _, name := range names {
			all = append(all, comparison.Throughput{Server: name, Workload: list[i].name, Rounds: rounds[[2]string{name, list[i].name}]})
		}
	}
	return all, nil
}

// ask measures one window of a closed loop with one server.
func (m *session) ask(ctx context.Context, e *entrant, w *workload) (comparison.Round, error) {
	measure := client.Closed
	if w.tls {
		measure = client.ClosedTLS
	}
	r, err := measure(ctx, m.options(e, w))
	switch {
	case err != nil:
		return comparison.Round{}, fmt.Errorf("%s, %s: %w", e.name, w.name, err)
	case r.Failed > 0:
		return comparison.Round{}, fmt.Errorf("%s, %s: %d of %d requests failed; the first: %s", e.name, w.name, r.Failed, r.Requests, r.Failure)
	}
	return comparison.Round{Requests: r.Requests, Failed: r.Failed, Seconds: r.Seconds, CPU: r.CPU.Seconds(), ClientBusy: r.Busy}, nil
}
