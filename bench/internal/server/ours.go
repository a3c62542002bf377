package server

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/bench/internal/sut"
)

const (
	// maxConnections is above the service's default, which is the number of idle
	// connections that are measured: the client has others besides.
	maxConnections = 20_000
	// servedBy is the name of a pod, as the service has it in a cluster (see deploy/base).
	servedBy    = "dynamic-toolset-6c9f7d5b8-x2k4j"
	findTimeout = 2 * time.Minute // until the service has found the toolsets
	findTick    = 20 * time.Millisecond
)

// ours is this service as it is shipped, except that more connections are allowed and that
// health checks, which would change the answers, are off.
type ours struct {
	process *sut.Process
	release string
}

func startOurs(ctx context.Context, dir string, o Options) (started, error) {
	args := []string{
		"--served-by=" + servedBy, "--health-checks=false", fmt.Sprintf("--max-connections=%d", maxConnections),
		// A resync would change the lists, which contain its time.
		"--resync=24h",
		// No load balancer has to notice that it stops.
		"--shutdown-propagation-delay=0s", "--shutdown-drain-timeout=5s",
	}
	if !slices.ContainsFunc(o.Args, func(a string) bool { return strings.HasPrefix(a, "--kubeconfig") }) {
		if err := writeManifests(dir); err != nil {
			return nil, err
		}
		args = append(args, "--manifests="+dir)
	}
	if o.TLS != nil {
		args = append(args, "--tls-cert-file="+o.TLS.Cert, "--tls-key-file="+o.TLS.Key)
	}
	p, err := sut.StartOn(ctx, o.CPU, o.Binary, append(args, o.Args...)...)
	if err != nil {
		return nil, err
	}
	s := &ours{process: p, release: "unknown"}
	if info, err := buildinfo.ReadFile(o.Binary); err == nil {
		s.release = "fasthttp " + moduleVersion(info, "github.com/valyala/fasthttp")
	}
	if err := s.settle(ctx, o.Fields, o.TLS != nil); err != nil {
		return nil, errors.Join(err, s.stop(), errors.New(p.LogTail()))
	}
	return s, nil
}

// writeManifests writes the Services as manifests, one file for each namespace.
func writeManifests(dir string) error {
	files := map[string][]byte{}
	for _, svc := range Services() {
		svc.APIVersion, svc.Kind = "v1", "Service"
		b, err := yaml.Marshal(svc)
		if err != nil {
			return err
		}
		name := svc.Namespace + ".yaml"
		files[name] = append(append(files[name], "---\n"...), b...)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until the service has found all toolsets.
func (s *ours) settle(ctx context.Context, fields [][2]string, overTLS bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, findTimeout, fmt.Errorf("not within %v", findTimeout))
	defer cancel()
	addr := s.addr()
	if overTLS {
		addr = tlsScheme + addr
	} else if _, err := s.process.WaitReady(ctx); err != nil {
		return err
	}
	for {
		last := found(ctx, addr, fields)
		if last == nil {
			return nil
		}
		select {
		case <-time.After(findTick):
		case <-ctx.Done():
			return fmt.Errorf("the service did not find its toolsets: %w: %w", context.Cause(ctx), last)
		}
	}
}

// found returns an error unless the service lists all toolsets.
func found(ctx context.Context, addr string, fields [][2]string) error {
	answers, err := ask(ctx, addr, request(target(List400K), fields), 1, false)
	if err != nil {
		return err
	}
	var list struct{ Total int }
	a := answers[0]
	if err := json.Unmarshal(a.Body, &list); err != nil || a.Status != 200 {
		return fmt.Errorf("status %d: %.300s", a.Status, a.Body)
	}
	if list.Total != Toolsets {
		return fmt.Errorf("it lists %d toolsets, not %d", list.Total, Toolsets)
	}
	return nil
}

func (s *ours) addr() string    { return strings.TrimPrefix(s.process.API, "http://") }
func (s *ours) pids() []int     { return []int{s.process.PID()} }
func (s *ours) version() string { return s.release }
func (s *ours) stop() error     { return s.process.Stop() }
