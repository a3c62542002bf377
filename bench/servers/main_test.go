package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/server"
	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == server.Command {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// A quick run measures everything, with real servers and a real API server, and no request
// fails. The figures themselves are not tested, since the machine may be busy.
func TestAQuickRunMeasuresEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("starts all servers and a control plane")
	}
	if _, err := sim.Build(context.Background(), os.Stderr); errors.Is(err, sim.ErrUnavailable) {
		testenv.Missing(t, "the simulated cluster's binary ("+err.Error()+")",
			"Build it once where the Go module proxy can be reached, with: go run ./harness/sim/cmd/simcluster build")
	}
	dir := t.TempDir()
	file, charts := filepath.Join(dir, "result.json"), filepath.Join(dir, "charts")
	all, err := cpus()
	if err != nil {
		t.Fatal(err)
	}
	var r *comparison.Result
	// On a busy machine a server may not get the CPU at all in a short window, or not in the
	// time that a request or its start may take.
	for _, window := range []string{"300ms", "2s", "10s"} {
		watch := testenv.Start()
		code := run([]string{"--quick", "--window=" + window, "--json=" + file, "--charts=" + charts})
		if code == 0 {
			if r = readResult(t, file); !starved(r) {
				break
			}
		} else if code != 3 && !(code == 2 && watch.Busy()) {
			t.Fatalf("exit code %d", code)
		}
		r = nil
		if err := pin(all...); err != nil { // the run has restricted this program to its client's
			t.Fatal(err)
		}
		t.Logf("the machine was too busy for windows of %s", window)
	}
	if r == nil {
		testenv.GiveUp(t, "what a quick run measures")
	}
	for _, m := range r.Missing {
		testenv.Missing(t, "what could not be measured: "+m, "")
	}
	if len(r.Servers) != 9 || len(r.Workloads) != 9 || len(r.Throughput) != 7*8+3+3 || len(r.Latency) != 7*8 || len(r.Idle) != 8 || len(r.Targets) != 15 {
		t.Fatalf("%+v", r)
	}
	if left, err := cpus(); err != nil || !slices.Equal(left, []int{r.ClientCPU}) {
		t.Errorf("the client is on the CPUs %v, not on %d, %v", left, r.ClientCPU, err)
	}
	answered := map[string]int{}
	for _, w := range r.Throughput {
		for _, round := range w.Rounds {
			answered[w.Server] += round.Requests
			if round.Failed != 0 || round.CPU <= 0 || round.CPU > 2*round.Seconds || round.Seconds < r.Window {
				t.Errorf("%s, %s: %+v", w.Server, w.Workload, round)
			}
		}
	}
	for _, l := range r.Latency {
		for _, round := range l.Rounds {
			if round.Failed != 0 || round.Due == 0 || round.Answered > round.Due || round.P50 <= 0 || round.P50 > round.P99 || round.P99 > round.P999 || round.P999 > round.Max {
				t.Errorf("%s at %v: %+v", l.Server, l.Rate, round)
			}
		}
	}
	for _, c := range r.Servers {
		if answered[c.Name] == 0 || c.Title == "" || c.Version == "" || c.Note == "" {
			t.Errorf("%+v: %d answers", c, answered[c.Name])
		}
	}
	for _, i := range r.Idle {
		// Only bare fasthttp, with a goroutine and buffers for each connection, takes memory
		// that must be seen. The others may have what so few connections need from their
		// start, or a collection of garbage gives back more meanwhile.
		round := i.Rounds[0]
		if round.Before < 1<<20 || round.After < 1<<20 || i.Server == comparison.Reference && round.After <= round.Before {
			t.Errorf("%s: %+v", i.Server, round)
		}
	}
	for _, target := range r.Targets {
		ofMemory := target.Title == memoryTarget // of a server that may have taken none, see above
		if len(target.Ratios) != 1 || target.Got <= 0 && !ofMemory {
			t.Errorf("%+v", target)
		}
	}
	// "render" draws the same charts again.
	again := filepath.Join(dir, "again")
	if code := run([]string{"render", file, "--charts=" + again}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, name := range comparison.Charts {
		a, _ := os.ReadFile(filepath.Join(charts, name+".svg"))
		b, err := os.ReadFile(filepath.Join(again, name+".svg"))
		if err != nil || !bytes.Contains(a, []byte("<svg")) || !bytes.Equal(a, b) {
			t.Errorf("%s: charts of %d and %d bytes, %v", name, len(a), len(b), err)
		}
	}
}

// starved reports whether a server has not answered once in a window, so that there are no
// figures.
func starved(r *comparison.Result) bool {
	for _, w := range r.Throughput {
		if slices.ContainsFunc(w.Rounds, func(r comparison.Round) bool { return r.Requests == 0 }) {
			return true
		}
	}
	for _, l := range r.Latency {
		if slices.ContainsFunc(l.Rounds, func(r comparison.LatencyRound) bool { return r.Answered == 0 }) {
			return true
		}
	}
	return false
}

func readResult(t *testing.T, name string) *comparison.Result {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	r, err := comparison.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Ours and the reference follow one another in every round, and no server is always at the
// same place.
func TestTurnsArePairedAndRotate(t *testing.T) {
	names := server.Names()
	first, order := map[string]bool{}, map[bool]int{}
	for round := range 2 * len(names) {
		got := turns(names, round)
		first[got[0]] = true
		ours, reference := slices.Index(got, comparison.Ours), slices.Index(got, comparison.Reference)
		if d := ours - reference; d != 1 && d != -1 {
			t.Errorf("round %d: %v", round, got)
		}
		order[ours < reference]++
		sorted, all := slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(names))
		if !slices.Equal(sorted, all) {
			t.Errorf("round %d: %v", round, got)
		}
	}
	if order[true] != order[false] || len(first) < 4 {
		t.Errorf("ours first %d times, the reference %d; ever first: %v", order[true], order[false], first)
	}
	three := []string{comparison.Ours, comparison.Reference, comparison.OursAuthenticated}
	for round := range 3 {
		if got := turns(three, round); got[0] != three[round] {
			t.Errorf("round %d: %v", round, got)
		}
	}
}

func TestTargetsAreRatiosOfRounds(t *testing.T) {
	round := func(perCPU float64) comparison.Round {
		return comparison.Round{Requests: int(perCPU), Seconds: 1, CPU: 1}
	}
	r := &comparison.Result{}
	add := func(name, workload string, perCPU ...float64) {
		w := comparison.Throughput{Server: name, Workload: workload}
		for _, p := range perCPU {
			w.Rounds = append(w.Rounds, round(p))
		}
		r.Throughput = append(r.Throughput, w)
	}
	// In the first round the machine was twice as fast.
	add(comparison.Reference, comparison.ByName, 2000, 1000, 1000)
	add(comparison.Ours, comparison.ByName, 2440, 1210, 1190)
	add(comparison.Reference, comparison.NotModified, 1000, 1000, 1000)
	add(comparison.Ours, comparison.NotModified, 1190, 1240, 1190)
	add(comparison.Reference, comparison.ByNamePipelined, 1000)
	add(comparison.Ours, comparison.ByNamePipelined, 1300)
	add(comparison.Reference, comparison.ByNameNew, 1000)
	add(comparison.Ours, comparison.ByNameNew, 1190)
	for _, w := range []string{comparison.List4K, comparison.List400K} {
		add(comparison.Reference, w, 1000)
		add(comparison.Ours, w, 970)
	}
	add(server.Nginx, comparison.ByNameTLS, 1000)
	add(comparison.Ours, comparison.ByNameTLS, 940)
	add(server.Nginx, comparison.ByName, 2440, 605, 1190)
	add(comparison.Reference, comparison.ByNameAuthenticated, 1000)
	add(comparison.Ours, comparison.ByNameAuthenticated, 1000)
	add(comparison.OursAuthenticated, comparison.ByNameAuthenticated, 899)
	for name, p99 := range map[string]float64{comparison.Reference: 100, comparison.Ours: 110} {
		r.Latency = append(r.Latency,
			comparison.Latency{Server: name, Share: 0.25, Rounds: []comparison.LatencyRound{{P99: 1, P999: 1}}},
			comparison.Latency{Server: name, Share: 0.5, Rounds: []comparison.LatencyRound{{P99: p99, P999: 2*p99 - 100}}})
	}
	r.Idle = []comparison.Idle{
		{Server: comparison.Reference, Rounds: []comparison.IdleRound{{Before: 30, After: 130}}},
		{Server: comparison.Ours, Rounds: []comparison.IdleRound{{Before: 300, After: 315}}},
	}
	(&settings{auth: true, tls: true, latency: true, idle: 1}).setTargets(r)
	var got []float64
	var met []bool
	for _, target := range r.Targets {
		got, met = append(got, target.Got), append(met, target.Met())
	}
	if want := []float64{1.21, 1.19, 0.97, 0.97, 1.3, 1.19, 1, 0.94, 0.899, 1.1, 1.2, 0.15}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if want := []bool{true, false, true, true, true, false, true, false, false, true, false, true}; !slices.Equal(met, want) {
		t.Errorf("%v, want %v", met, want)
	}
	if first := r.Targets[0]; first.Low != 1.19 || first.High != 1.22 {
		t.Errorf("%+v", first)
	}
	// A measurement that is switched off has no target; one that has no result is missed.
	none := &comparison.Result{}
	(&settings{}).setTargets(none)
	if len(none.Targets) != 6 || none.Targets[0].Met() || !none.Missed() {
		t.Errorf("%+v", none.Targets)
	}
}

func TestOtherProgramsAreNoticed(t *testing.T) {
	for _, tc := range []struct {
		cpu, busy float64
		spin, say bool
	}{{0.98, 0.8, true, false}, {0.5, 0.4, true, true}, {0.5, 0.99, true, false}, {0.5, 0, false, false}} {
		round := comparison.Round{Requests: 1000, Seconds: 1, CPU: tc.cpu, ClientBusy: tc.busy}
		m := &session{spin: tc.spin, result: &comparison.Result{Throughput: []comparison.Throughput{
			{Server: comparison.Reference, Workload: comparison.ByName, Rounds: []comparison.Round{round}}}}}
		if got := m.disturbed(); (got != "") != tc.say || tc.say && !strings.Contains(got, "50 %") {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}

func TestServerAndClientGetCPUsOfDifferentCores(t *testing.T) {
	// Two threads for each core, numbered as Linux does it: 0 and 2 are on one core.
	threads := func(cpu int) []int { return []int{cpu % 2, cpu%2 + 2} }
	alone := func(cpu int) []int { return []int{cpu} }
	for _, tc := range []struct {
		all            []int
		server, client int
		siblings       func(int) []int
		want           [2]int
	}{
		{[]int{0, 1}, -1, -1, alone, [2]int{1, 0}},
		{[]int{0, 1, 2, 3}, -1, -1, threads, [2]int{3, 0}},
		{[]int{1, 3}, -1, -1, threads, [2]int{3, 1}},
		{[]int{1, 2, 3}, -1, -1, threads, [2]int{3, 2}},
		{[]int{5}, -1, -1, alone, [2]int{5, 5}},
		{[]int{0, 1}, 0, -1, alone, [2]int{0, 1}},
		{[]int{0, 1}, -1, 1, alone, [2]int{0, 1}},
		{[]int{0, 1}, 1, 1, alone, [2]int{1, 1}},
	} {
		server, client, err := choose(tc.all, tc.server, tc.client, tc.siblings)
		if err != nil || [2]int{server, client} != tc.want {
			t.Errorf("%+v: server %d, client %d, %v", tc, server, client, err)
		}
	}
	for _, bad := range [][2]int{{7, -1}, {-1, 7}} {
		if _, _, err := choose([]int{0, 1}, bad[0], bad[1], alone); err == nil || !strings.Contains(err.Error(), "[0 1]") {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for text, want := range map[string][]int{"0": {0}, "0,2": {0, 2}, "0-2,7": {0, 1, 2, 7}, "": nil, "a": nil, "1-": nil} {
		if got := cpuList(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestFlagsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"extra"}, {"--rounds=0"}, {"--window=0s"}, {"--window=1h"}, {"--connections=0"}, {"--idle-connections=-1"},
		{"--contestant=apache"}, {"--nonsense"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	for _, args := range [][]string{{}, {"a", "b"}, {"--nonsense"}} {
		if _, _, err := parseRender(args); err == nil {
			t.Errorf("render %v: no error", args)
		}
	}
	if code := run([]string{"render", filepath.Join(t.TempDir(), "nothing.json")}); code != 2 {
		t.Errorf("exit code %d", code)
	}
	s, err := parse([]string{"--quick", "--rounds=3"})
	if err != nil || s.rounds != 3 || s.idle != 500 || len(s.servers) != len(entrants())-2 {
		t.Errorf("%+v, %v", s, err)
	}
}
