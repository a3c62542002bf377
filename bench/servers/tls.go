package main

import (
	"context"
	"errors"
	"fmt"

	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/server"
)

// overTLS measures GET by name over TLS, with those servers that people would use for it.
func (m *session) overTLS(ctx context.Context) (err error) {
	if !m.tls {
		return nil
	}
	certificate, err := server.NewCertificate(m.dir)
	if err != nil {
		return err
	}
	entries := map[string]*entrant{}
	defer func() {
		for _, e := range entries {
			err = errors.Join(err, e.server.Stop())
		}
	}()
	ours, err := m.enterInto(ctx, entries, server.Ours, server.Options{TLS: certificate}, nil)
	if err != nil {
		return fmt.Errorf("over TLS: %w", err)
	}
	names := []string{server.Ours}
	for _, name := range m.names {
		if name != comparison.Reference && name != server.Nginx {
			continue
		}
		if _, err := m.enterInto(ctx, entries, name, server.Options{Answers: ours.answers, TLS: certificate}, ours.answers); err != nil {
			return fmt.Errorf("over TLS: %w", err)
		}
		names = append(names, name)
	}
	w := workload{name: comparison.ByNameTLS, answer: server.ByName, title: "GET by name, %s, over TLS", tls: true}
	m.result.Workloads = append(m.result.Workloads, w.describe(ours.answers[w.answer]))
	all, err := m.closed(ctx, []workload{w}, names, entries)
	m.result.Throughput = append(m.result.Throughput, all...)
	return err
}
