package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// A runner builds the server, starts clusters and verifies the server in them. Its
// functions take minutes; tests replace them.
type runner struct {
	build  func(ctx context.Context, dir string) (*defects.Subject, error)
	open   func(context.Context, driver.Options) (cluster.Cluster, error)
	verify func(context.Context, cluster.Cluster, verify.Options) (*record.Run, error)

	mu       sync.Mutex // guards progress
	progress io.Writer
}

// withSubject builds the server, calls do with it, and removes it.
func (r *runner) withSubject(ctx context.Context, do func(*defects.Subject) error) error {
	dir, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	r.say("building the server with planted defects")
	subject, err := r.build(ctx, dir)
	if err != nil {
		return err
	}
	return do(subject)
}

// withCluster starts a cluster, loads the server's image, calls do, and deletes the
// cluster.
func (r *runner) withCluster(ctx context.Context, o driver.Options, subject *defects.Subject, do func(cluster.Cluster) error) (err error) {
	r.say("%s: starting the cluster", o.Name)
	o.AgentBinary, o.Progress = subject.Agent, r.progress
	c, err := r.open(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		r.say("%s: taking the cluster down", o.Name)
		err = errors.Join(err, c.Close())
	}()
	if err := c.LoadImage(ctx, subject.Image()); err != nil {
		return fmt.Errorf("load the server's image: %w", err)
	}
	return do(c)
}

// say reports progress.
func (r *runner) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.progress, format+"\n", args...)
}
