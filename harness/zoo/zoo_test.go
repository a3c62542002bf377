package zoo_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/zoo"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// shared is the cluster of all tests, with the load generator.
var shared struct {
	once   sync.Once
	dir    string
	runner *zoo.Runner
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.runner != nil {
		if err := shared.runner.Cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "the cluster left something behind:", err)
			code = 1
		}
	}
	_ = os.RemoveAll(shared.dir)
	os.Exit(code)
}

func start() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // the cluster may have to be compiled
	defer cancel()
	var err error
	if shared.dir, err = os.MkdirTemp("", "zoo-test-"); err != nil {
		return err
	}
	agent := filepath.Join(shared.dir, "loadagent")
	build := exec.CommandContext(ctx, "go", "build", "-o", agent, "kubernaut.io/dynamic-toolset/harness/cmd/loadagent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the load generator: %w\n%s", err, out)
	}
	c, err := driver.Open(ctx, driver.Options{Name: driver.Sim, Progress: os.Stderr})
	if err != nil {
		return err
	}
	shared.runner = &zoo.Runner{Cluster: c, Agent: agent, Dir: shared.dir}
	return nil
}

// aRunner returns a runner with the shared cluster.
func aRunner(t *testing.T) zoo.Runner {
	t.Helper()
	shared.once.Do(func() { shared.err = start() })
	if errors.Is(shared.err, cluster.ErrUnsupported) {
		testenv.Missing(t, "a simulated cluster ("+shared.err.Error()+")", "The sentence says how to get what is missing.")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return *shared.runner
}

// The verdict on each of a dozen servers that nobody here wrote is what is known of it. go
// run ./harness/cmd/zoo runs all of them.
func TestVerdictsOnServersOfOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	for _, s := range zoo.Servers() {
		for _, v := range s.Variants {
			if !v.Short {
				continue
			}
			t.Run(s.Name+"/"+v.Name, func(t *testing.T) {
				t.Parallel()
				p, err := zoo.Get(t.Context(), s, os.Stderr)
				if errors.Is(err, zoo.ErrUnavailable) {
					testenv.Missing(t, "the server "+s.Name+" ("+err.Error()+")", "The sentence says how to get it.")
				}
				if err != nil {
					t.Fatal(err)
				}
				verdict(t, p, v)
			})
		}
	}
}

// verdict fails the test if the verdict on a variant is wrong.
func verdict(t *testing.T, p *zoo.Program, v zoo.Variant) {
	t.Helper()
	runner := aRunner(t)
	runner.Say = t.Logf
	try := 0
	err := testenv.Measure(t, "whether the verdict on "+p.Server.Name+"/"+v.Name+" is right", func() (excused bool, err error) {
		try++
		run, err := runner.Verify(t.Context(), p, v, zoo.NamespaceOf(p, v, try))
		if err != nil {
			return true, err
		}
		l := zoo.Count(run)
		t.Logf("%d requests, lost %d by any client, %d by those that don't look, in %s", l.Sent, l.Any(), l.Blind, run.Ended.Sub(run.Began).Round(time.Second))
		wrong := v.Expect.Judge(run)
		if len(wrong) > 0 {
			err = errors.New(strings.Join(wrong, "\n"))
		}
		return zoo.TooBusy(run), err
	})
	if err != nil {
		t.Error(err)
	}
}
