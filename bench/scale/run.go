package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/backends"
	"kubernaut.io/dynamic-toolset/bench/internal/fixtures"
	"kubernaut.io/dynamic-toolset/bench/internal/sut"
	"kubernaut.io/dynamic-toolset/internal/host"
)

// keptPort is the port of the health endpoints in a cluster that is used for several runs:
// its Services contain the port.
const keptPort = 47808

// readyTimeout bounds the time until the service is ready.
const readyTimeout = 2 * time.Minute

// A session is the state of one measurement.
type session struct {
	*settings
	dir     string
	cluster *testCluster
	plan    *fixtures.Plan
	binary  string
	result  *result
}

// measure prepares the cluster, measures and returns the result.
func (s *settings) measure(ctx context.Context) (r *result, err error) {
	dir, err := os.MkdirTemp("", "scale-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	m := &session{settings: s, dir: dir, plan: &fixtures.Plan{Services: s.services, Workloads: s.workloads}, binary: s.binary}
	m.result = &result{
		Date: time.Now().UTC().Truncate(time.Second), Host: host.Describe(), Version: sut.Version(ctx),
		Services: s.services, Toolsets: m.plan.Toolsets(), Health: s.health, Workloads: s.workloads, Targets: s.targets,
	}
	if m.binary == "" {
		say("building the service")
		if m.binary, err = sut.Build(ctx, dir); err != nil {
			return nil, err
		}
	}
	if s.health {
		port := 0
		if s.kubeconfig != "" {
			port = keptPort
		}
		f, err := backends.Start(0, port)
		if err != nil {
			return nil, err
		}
		m.plan.HealthEndpoint = func(toolset int) string { return f.URL(backends.OK, toolset) }
		defer func() { err = errors.Join(err, f.Close()) }()
	}
	if m.cluster, err = s.open(ctx, dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.cluster.close()) }()
	m.result.Kubernetes = m.cluster.version
	filled, err := m.cluster.fill(ctx, m.plan)
	if err != nil {
		return nil, err
	}
	m.result.FillSeconds = filled.Seconds()
	if err := m.services(ctx); err != nil {
		return nil, err
	}
	return m.result, nil
}

// services starts both services and measures them.
func (m *session) services(ctx context.Context) (err error) {
	var all *sut.Process
	for i := range m.starts {
		if all != nil {
			if err := all.Stop(); err != nil {
				return err
			}
		}
		if all, err = m.start(ctx, &m.result.Ready); err != nil {
			return err
		}
		say("start %d of %d: ready after %.2f s", i+1, m.starts, m.result.Ready[i])
		if m.workloads {
			d, err := m.evidence(ctx, all)
			if err != nil {
				return errors.Join(err, all.Stop())
			}
			m.result.Evidence = append(m.result.Evidence, d.Seconds())
			say("the images of all toolsets are known after %.2f s", d.Seconds())
		}
	}
	defer func() { err = errors.Join(err, all.Stop()) }()
	if err := m.quiet(ctx, all); err != nil {
		return err
	}

	say("changing %v Services a second for %v", m.rate, m.duration)
	seq := newChanges(m.plan, uint64(time.Now().UnixNano())) // #nosec G115 -- a seed
	m.result.Churn, err = m.churn(ctx, m.cluster, all, seq)
	seq.cleanUp(ctx, m.cluster.client)
	if err != nil {
		return err
	}
	after, err := all.Usage()
	if err != nil {
		return err
	}
	m.result.Memory.AfterMB, m.result.Memory.PeakMB = megabytes(after.Resident), megabytes(after.Peak)

	say("measuring lookups")
	var ready []float64
	small, err := m.start(ctx, &ready, "--namespaces="+fixtures.SmallNamespace)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, small.Stop()) }()
	m.result.SmallReady = ready[0]
	if err := pause(ctx, min(m.settle, 5*time.Second)); err != nil {
		return err
	}
	m.result.Lookups, err = m.compare(ctx, m.plan, all, small)
	return err
}

// start starts the service with these arguments and the usual ones. It appends the seconds
// until the service was ready to ready.
func (m *session) start(ctx context.Context, ready *[]float64, args ...string) (*sut.Process, error) {
	args = append([]string{
		"--kubeconfig=" + m.cluster.kubeconfig, "--configmap-enabled=false", "--shutdown-propagation-delay=0s",
	}, args...)
	if m.health {
		args = append(args, "--allow-endpoint-cidrs="+backends.CIDR)
	} else {
		args = append(args, "--health-checks=false")
	}
	if m.workloads {
		args = append(args, "--workload-evidence")
	}
	p, err := sut.Start(ctx, m.binary, append(args, m.extra...)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	d, err := p.WaitReady(ctx)
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	*ready = append(*ready, d.Seconds())
	return p, nil
}

const (
	// evidenceTick is the pause between two lists of all Services with their evidence, which
	// have megabytes. It is the precision of the result.
	evidenceTick = 200 * time.Millisecond
	// named is in the list once for each toolset whose image is known.
	named = `"evidence":["image `
)

// evidence waits until the service knows what the pods of each toolset run, and returns how
// long that took since its start. The service is ready earlier if that takes long.
func (m *session) evidence(ctx context.Context, p *sut.Process) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	for {
		known, err := count(ctx, client, p.API+"/api/v1/services", named)
		if err != nil {
			return 0, err
		}
		if known == m.plan.Toolsets() {
			return time.Since(p.Started), nil
		}
		if err := pause(ctx, evidenceTick); err != nil {
			return 0, fmt.Errorf("the images of %d of %d toolsets are known: %w\n%s", known, m.plan.Toolsets(), err, p.LogTail())
		}
	}
}

// count returns how often text is in an answer.
func count(ctx context.Context, client *http.Client, url, text string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", url, resp.Status, body)
	}
	return bytes.Count(body, []byte(text)), err
}

// quiet waits for the first health checks and then measures CPU time and memory while nothing
// changes.
func (m *session) quiet(ctx context.Context, p *sut.Process) error {
	first, err := p.Usage()
	if err != nil {
		return err
	}
	m.result.Memory.StartMB = megabytes(first.Peak)
	m.result.StartCPU = first.CPU.Seconds()
	say("waiting %v for the first health checks", m.settle)
	if err := pause(ctx, m.settle); err != nil {
		return err
	}
	before, err := p.Usage()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := pause(ctx, m.idle); err != nil {
		return err
	}
	after, err := p.Usage()
	if err != nil {
		return err
	}
	m.result.IdleCPU = (after.CPU - before.CPU).Seconds() / time.Since(began).Seconds()
	m.result.Memory.SteadyMB = megabytes(after.Resident)
	m.result.Files = after.Files
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
