package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// shared is the server, which is built once for all tests.
var shared struct {
	once    sync.Once
	dir     string
	subject *defects.Subject
	err     error
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(shared.dir)
		os.Exit(code)
	}))
}

func build(ctx context.Context, _ string) (*defects.Subject, error) {
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "compare-test-"); shared.err == nil {
			shared.subject, shared.err = defects.Build(ctx, shared.dir)
		}
	})
	return shared.subject, shared.err
}

// fakeCluster is a cluster that runs nothing.
type fakeCluster struct {
	cluster.Cluster
	name           string
	loaded, closed bool
	closeErr       error
}

func (c *fakeCluster) LoadImage(_ context.Context, i cluster.Image) error {
	c.loaded = i.Name != ""
	return nil
}
func (c *fakeCluster) Close() error { c.closed = true; return c.closeErr }

// asItMustBe returns a run in which a case shows what it must.
func asItMustBe(c *defects.Case) *record.Run {
	run := &record.Run{
		Cluster:  record.Cluster{Kubernetes: "v1.99.0", Nodes: []string{"a", "b"}},
		Checks:   []record.Check{{ID: verdict.RestartsID, Result: record.Pass}},
		Requests: []record.Request{{Outcome: record.OK}},
	}
	for _, id := range c.Checks {
		run.Checks = append(run.Checks, record.Check{ID: id, Result: record.Fail})
	}
	for _, l := range c.Losses {
		run.Requests = append(run.Requests, record.Request{Class: l.Class, Outcome: l.By[0]})
	}
	return run
}

// comparing is a comparison of fake clusters; change may spoil a run.
type comparing struct {
	comparison
	fakes   map[string]*fakeCluster
	running atomic.Int32
	most    atomic.Int32
	change  func(cluster, name string, run *record.Run) error
}

func compareFakes(change func(cluster, name string, run *record.Run) error) *comparing {
	f := &comparing{fakes: map[string]*fakeCluster{"a": {name: "a"}, "b": {name: "b"}}, change: change}
	f.comparison = comparison{
		clusters: []string{"a", "b"}, cluster: driver.Options{Nodes: 2, NodeImage: "/home/me/image"}, parallel: 3,
	}
	f.runner = &runner{
		progress: io.Discard, build: build,
		open: func(_ context.Context, o driver.Options) (cluster.Cluster, error) {
			if _, err := os.Stat(o.AgentBinary); err != nil {
				return nil, err
			}
			if c := f.fakes[o.Name]; c != nil {
				return c, nil
			}
			return nil, cluster.ErrUnsupported
		},
		verify: func(_ context.Context, c cluster.Cluster, o verify.Options) (*record.Run, error) {
			now := f.running.Add(1)
			defer f.running.Add(-1)
			for most := f.most.Load(); now > most && !f.most.CompareAndSwap(most, now); most = f.most.Load() {
			}
			which := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(o.Manifests[0]), "compare-"), ".yaml")
			for _, d := range cases() {
				if name(&d) == which {
					run := asItMustBe(&d)
					if f.change != nil {
						if err := f.change(c.(*fakeCluster).name, which, run); err != nil {
							return nil, err
						}
					}
					return run, nil
				}
			}
			return nil, errors.New("no such case: " + which)
		},
	}
	return f
}

// result returns the section of the document, and the error of the comparison.
func (f *comparing) result(t *testing.T) (string, error) {
	t.Helper()
	columns, err := f.run(t.Context())
	if err == nil {
		err = judge(columns)
	}
	for name, c := range f.fakes {
		if !c.loaded || !c.closed {
			t.Errorf("cluster %s: loaded %v, closed %v", name, c.loaded, c.closed)
		}
	}
	return f.section(columns), err
}

func row(t *testing.T, section, of string) string {
	t.Helper()
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| "+of+" |") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no row of %s in\n%s", of, section)
	return ""
}

func TestAgreement(t *testing.T) {
	f := compareFakes(nil)
	section, err := f.result(t)
	if err != nil {
		t.Error(err)
	}
	if most := f.most.Load(); most < 1 || most > 3 {
		t.Errorf("%d runs at a time", most)
	}
	for of, want := range map[string]string{
		"right":         "| right | does everything right | - | passed | 0 of 1 | passed | 0 of 1 | yes |",
		"exits-at-once": "| exits-at-once | exits at once on SIGTERM | `requests-new`, `requests-slow` | caught | 2 of 3 | caught | 2 of 3 | yes |",
		"a":             "| a | v1.99.0 | 2 |",
	} {
		if got := row(t, section, of); got != want {
			t.Errorf("%s\nnot\n%s", got, want)
		}
	}
	for _, c := range cases() {
		row(t, section, name(&c))
	}
	for _, want := range []string{"```sh\ngo run ./harness/cmd/compare --cluster a --cluster b --parallel 3\n```", "Every check failed on all of the clusters or on none.", " CPUs"} {
		if !strings.Contains(section, want) {
			t.Errorf("no %q in\n%s", want, section)
		}
	}
}

// A difference between verdicts is told from one between checks that failed in addition
// to the required ones.
func TestDisagreement(t *testing.T) {
	section, err := compareFakes(func(cluster, name string, run *record.Run) error {
		switch {
		case cluster == "b" && name == "exit-code-1":
			run.Checks = run.Checks[:1]
		case cluster == "b" && name == "right":
			run.Checks = append(run.Checks, record.Check{ID: verdict.GraceID, Result: record.Fail})
		case cluster == "a" && name == "liveness-fails":
			run.Checks = append(run.Checks, record.Check{ID: verdict.RefusedID, Result: record.Fail})
		}
		return nil
	}).result(t)
	if !errors.Is(err, errDiffers) {
		t.Errorf("%v", err)
	}
	for of, want := range map[string]string{
		"exit-code-1":    "| caught | 0 of 1 | **missed**: the run passed; the check exit-code did not fail (failed: -) | 0 of 1 | **no** |",
		"right":          "| passed | 0 of 1 | **failed**: a server without defects failed: grace-period (failed: `grace-period`) | 0 of 1 | **no** |",
		"liveness-fails": "| caught; also `refused-early` | 0 of 1 | caught | 0 of 1 | yes |",
	} {
		if got := row(t, section, of); !strings.HasSuffix(got, want) {
			t.Errorf("%s\nnot\n%s", got, want)
		}
	}
	for _, want := range []string{"- liveness-fails: `refused-early` on a only\n", "- exit-code-1: `exit-code` on a only\n", "- right: `grace-period` on b only\n"} {
		if !strings.Contains(section, want) {
			t.Errorf("no %q in\n%s", want, section)
		}
	}
}

// A verdict that is wrong on all clusters agrees, but is an error.
func TestMissedEverywhere(t *testing.T) {
	section, err := compareFakes(func(_, name string, run *record.Run) error {
		if name == "exit-code-1" {
			run.Checks = run.Checks[:1]
		}
		return nil
	}).result(t)
	if got := row(t, section, "exit-code-1"); !errors.Is(err, errDiffers) || !strings.HasSuffix(got, "| yes |") {
		t.Errorf("%v: %s", err, got)
	}
}

// If a run has no verdict, the others go on, and the comparison fails.
func TestNoVerdict(t *testing.T) {
	section, err := compareFakes(func(cluster, name string, _ *record.Run) error {
		if cluster == "a" && name == "ignores-sigterm" {
			return errors.New("never ready:\nimage | gone")
		}
		return nil
	}).result(t)
	if err == nil || errors.Is(err, errDiffers) || !strings.Contains(err.Error(), "ignores-sigterm on a came to no verdict: never ready") {
		t.Errorf("%v", err)
	}
	if got := row(t, section, "ignores-sigterm"); !strings.Contains(got, `**no verdict**: never ready:; image \| gone | - | caught`) || !strings.HasSuffix(got, "**no** |") {
		t.Error(got)
	}
	if got := row(t, section, "exit-code-1"); !strings.HasSuffix(got, "| yes |") {
		t.Error(got)
	}
}

func TestClusterTrouble(t *testing.T) {
	f := compareFakes(nil)
	f.clusters = []string{"a", "nowhere"}
	columns, err := f.run(t.Context())
	if !errors.Is(err, cluster.ErrUnsupported) || !strings.Contains(err.Error(), "the cluster nowhere") || len(columns) != 1 {
		t.Errorf("%v, %d columns", err, len(columns))
	}
	f = compareFakes(nil)
	f.fakes["a"].closeErr = errors.New("a process stayed")
	if _, err := f.run(t.Context()); err == nil || !strings.Contains(err.Error(), "a process stayed") {
		t.Errorf("%v", err)
	}
}

// An interruption ends the comparison, and the cluster is closed.
func TestInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := compareFakes(nil)
	runs := 0
	f.parallel = 1
	f.verify = func(ctx context.Context, _ cluster.Cluster, _ verify.Options) (*record.Run, error) {
		runs++
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if _, err := f.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if !f.fakes["a"].closed || f.fakes["b"].loaded || runs > 2 {
		t.Errorf("%+v, %+v, %d runs", f.fakes["a"], f.fakes["b"], runs)
	}
}

func TestMistakes(t *testing.T) {
	marked := filepath.Join(t.TempDir(), "marked.md")
	if err := os.WriteFile(marked, []byte("# Mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--nope"}, "unknown flag"},
		{[]string{"sim"}, `"sim" is no flag`},
		{[]string{"--parallel=0"}, "--parallel is 0"},
		{[]string{"--nodes=11"}, "--nodes is 11"},
		{[]string{"--cluster=moon"}, `--cluster is "moon"; this command can bring up: sim, kind`},
		{[]string{"--cluster=kubeconfig"}, `can bring up: sim, kind`},
		{[]string{"--cluster=sim", "--cluster=sim"}, "--cluster sim is given twice"},
		{[]string{"--out=" + marked}, "must have each of these lines once"},
		{[]string{"shutdowns", "--nope"}, "unknown flag"},
		{[]string{"shutdowns", "sim"}, `"sim" is no flag`},
	} {
		var out, errs bytes.Buffer
		if code := run(c.args, &out, &errs); code != exitUnable || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%q: code %d, %s", c.args, code, &errs)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"--help"}, &out, &errs); code != exitSame || !strings.Contains(out.String(), "--cluster KIND") || errs.Len() > 0 {
		t.Errorf("code %d, %s %s", code, &out, &errs)
	}
	out.Reset()
	if code := run([]string{"shutdowns", "--help"}, &out, &errs); code != exitSame || !strings.Contains(out.String(), "--restarts NUMBER") || errs.Len() > 0 {
		t.Errorf("code %d, %s %s", code, &out, &errs)
	}
}

// The ways to stop differ in nothing but the server's flag, and the report says what
// each has lost.
func TestShutdowns(t *testing.T) {
	f := compareFakes(nil)
	s := &shutdowns{runner: f.runner}
	if err := s.parse([]string{"--out=" + t.TempDir(), "--rate=300", "--restarts=2"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	f.fakes[driver.Sim] = &fakeCluster{name: driver.Sim}
	s.verify = func(_ context.Context, _ cluster.Cluster, o verify.Options) (*record.Run, error) {
		run := &record.Run{Cluster: record.Cluster{Kubernetes: "v1.99.0"}, Requests: []record.Request{{Class: record.New, Outcome: record.OK}}}
		manifest, err := os.ReadFile(o.Manifests[0])
		if strings.Contains(string(manifest), "--shutdown=naive") {
			run.Requests = append(run.Requests, record.Request{Class: record.Slow, Outcome: record.EOFMid}, record.Request{Class: record.New, Outcome: record.Refused})
		}
		if len(o.Steps) != 2 || o.Traffic.Rate != 300 || o.Milestones != nil {
			t.Errorf("%+v", o)
		}
		return run, err
	}
	if err := s.do(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.out, "dd-007.md"))
	if err != nil {
		t.Fatal(err)
	}
	for of, want := range map[string]string{
		"naive": "| naive | SIGTERM: close the listener and exit | 3 | 2 | 0 | 0 | 1 | 1 | 0 | 1 connection refused, 1 EOF mid-response |",
		"full":  "| full | DD-007: readiness 503, 5 s, drain, exit | 1 | 0 | 0 | 0 | 0 | 0 | 0 | - |",
	} {
		if got := row(t, string(text), of); got != want {
			t.Errorf("%s\nnot\n%s", got, want)
		}
	}
	if !strings.Contains(string(text), "\ngo run ./harness/cmd/compare shutdowns --out=") {
		t.Errorf("no command in\n%s", text)
	}
	if picture, err := os.ReadFile(filepath.Join(s.out, "dd-007.svg")); err != nil || !bytes.Contains(picture, []byte("readiness-only")) {
		t.Errorf("%v: %s", err, picture)
	}
	if c := f.fakes[driver.Sim]; !c.loaded || !c.closed {
		t.Errorf("%+v", c)
	}
}
