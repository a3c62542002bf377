package sim_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// ownerEnv has the test binary, when it is run again, be the owner of a control plane
// that a test kills, or with clusterEnv of a cluster. Its value is the binary. See
// TestKilledOwnerLeavesNothing.
const (
	ownerEnv   = "SIM_TEST_OWNER"
	clusterEnv = "SIM_TEST_OWNER_OF_CLUSTER"
)

func TestMain(m *testing.M) {
	if binary := os.Getenv(ownerEnv); binary != "" {
		beOwner(binary)
	}
	flag.Parse()
	code := m.Run()
	if err := shared.end(); err != nil {
		fmt.Fprintln(os.Stderr, "the shared cluster left something behind:", err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// beOwner starts a control plane or a cluster, prints its state directory and waits to
// be killed. It never returns.
func beOwner(binary string) {
	var started interface{ Dir() string }
	var err error
	if os.Getenv(clusterEnv) != "" {
		started, err = sim.StartCluster(context.Background(), sim.WithBinary(binary))
	} else {
		started, err = sim.StartControlPlane(context.Background(), sim.WithBinary(binary))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(started.Dir())
	select {}
}

// shared is a cluster with the image "example/echo:v1", for all tests that do not end
// it. They have their own namespaces, leave it as they found it, and do not run in
// parallel, since some disturb it.
var shared sharedCluster

type sharedCluster struct {
	once    sync.Once
	cluster *sim.Cluster
	err     error
	dir     string // of the program echo
}

func cluster(t *testing.T) *sim.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	binary := simtest.Binary(t)
	shared.once.Do(func() {
		if shared.cluster, shared.err = sim.StartCluster(context.Background(), sim.WithBinary(binary)); shared.err == nil {
			shared.err = shared.cluster.LoadImage(context.Background(), echoImage(t, "example/echo:v1"))
		}
	})
	if errors.Is(shared.err, sim.ErrUnsupported) {
		testenv.Missing(t, "the simulated cluster", shared.err.Error())
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	c := shared.cluster
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.LogTail())
		}
	})
	return c
}

func (s *sharedCluster) end() error {
	var err error
	if s.cluster != nil {
		err = s.cluster.Stop()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// echoProgramEnv passes the program to a test binary that runs as another user.
const echoProgramEnv = "SIM_TEST_ECHO"

var buildEcho sync.Once

// echoImage returns an image of the program in testdata/echo, which is compiled once.
func echoImage(t *testing.T, name string) sim.Image {
	t.Helper()
	program := os.Getenv(echoProgramEnv)
	if program == "" {
		program = echoProgram(t)
	}
	return sim.Image{
		Name: name, Files: map[string]string{"/bin/echo": program},
		Entrypoint: []string{"/bin/echo"}, Env: []string{"VERSION=of-image"},
	}
}

func echoProgram(t *testing.T) string {
	t.Helper()
	buildEcho.Do(func() {
		dir, err := os.MkdirTemp("", "sim-echo-")
		if err != nil {
			t.Fatal(err)
		}
		shared.dir = dir
		build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "echo"), "./testdata/echo")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build testdata/echo: %v\n%s", err, out)
		}
	})
	return filepath.Join(shared.dir, "echo")
}
