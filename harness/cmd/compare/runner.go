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

// A runner builds the server, brings clusters up and verifies the server there. Its
// functions take minutes; tests have others.
type runner struct {
	build  func(ctx context.Context, dir string) (*defects.Subject, error)
	open   func(context.Context, driver.Options) (cluster.Cluster, error)
	verify func(context.Context, cluster.Cluster, verify.Options) (*record.Run, error)

	mu       sync.Mutex // over progress, while runs go on
	progress io.Writer
}

// withSubject calls do with the server, which it builds and removes.
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

// withCluster calls do with a cluster that has the server's image. It brings the
// cluster up and takes it down.
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

// say tells of a step.
func (r *runner) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.progress, format+"\n", args...)
}
