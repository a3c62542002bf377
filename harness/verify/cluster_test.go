package verify_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// shared holds the programs, and the cluster of all tests of the package.
var shared struct {
	once    sync.Once
	cluster cluster.Cluster
	dir     string
	subject *defects.Subject
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "the cluster left something behind:", err)
			code = 1
		}
	}
	_ = os.RemoveAll(shared.dir)
	os.Exit(code)
}

// aCluster returns the shared cluster, with the image of the faulty server loaded.
func aCluster(t *testing.T) cluster.Cluster {
	t.Helper()
	shared.once.Do(func() { shared.err = startShared() })
	if errors.Is(shared.err, cluster.ErrUnsupported) {
		testenv.Missing(t, "a simulated cluster ("+shared.err.Error()+")", "The sentence says how to get what is missing.")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster
}

func startShared() error {
	var err error
	if shared.dir, err = os.MkdirTemp("", "verify-test-"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // the programs may have to be compiled
	defer cancel()
	if shared.subject, err = defects.Build(ctx, shared.dir); err != nil {
		return err
	}
	if shared.cluster, err = driver.Open(ctx, driver.Options{Name: driver.Sim, Progress: os.Stderr}); err != nil {
		return err
	}
	if err := shared.cluster.LoadImage(ctx, shared.subject.Polyglot()); err != nil {
		return err
	}
	if err := shared.cluster.LoadImage(ctx, shared.subject.Gateway()); err != nil {
		return err
	}
	return shared.cluster.LoadImage(ctx, shared.subject.Image())
}

// subject returns the options to verify a Deployment of the faulty server.
func subject(t *testing.T, d defects.Deployment) verify.Options {
	t.Helper()
	o, err := shared.subject.Options(d)
	if err != nil {
		t.Fatal(err)
	}
	o.Say = t.Logf
	return o
}

func replaceInFile(t *testing.T, file, old, replacement string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%q is not in %s", old, file)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}
