package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/client"
	"kubernaut.io/dynamic-toolset/bench/internal/comparison"
	"kubernaut.io/dynamic-toolset/bench/internal/server"
	"kubernaut.io/dynamic-toolset/internal/host"
)

const (
	// maxIdleRounds bounds the number of rounds. More would not help: memory varies little.
	maxIdleRounds = 3
	// idleOpening bounds the time to open all connections.
	idleOpening = time.Minute
	// idleSettle is the pause before memory is measured.
	idleSettle = 500 * time.Millisecond
)

// idles measures the memory of idle connections. Each measurement starts a new process,
// because a process keeps memory for a long time and uses it again.
func (m *session) idles(ctx context.Context) error {
	if m.idle == 0 {
		return nil
	}
	rounds := map[string][]comparison.IdleRound{}
	for round := range min(m.rounds, maxIdleRounds) {
		say("round %d of %d: %d idle connections", round+1, min(m.rounds, maxIdleRounds), m.idle)
		for _, name := range turns(m.names, round) {
			r, err := m.hold(ctx, name)
			if err != nil {
				return fmt.Errorf("%s, idle connections: %w", name, err)
			}
			rounds[name] = append(rounds[name], r)
		}
	}
	for _, name := range m.names {
		m.result.Idle = append(m.result.Idle, comparison.Idle{Server: name, Connections: m.idle, Rounds: rounds[name]})
	}
	return nil
}

// hold measures the memory of idle connections of one server once.
func (m *session) hold(ctx context.Context, name string) (r comparison.IdleRound, err error) {
	like := m.ours
	if name == server.Ours {
		like = nil // a new process has found the toolsets at another time, which is in its answers
	}
	e, err := m.enter(ctx, name, server.Options{Answers: m.ours}, like)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.server.Stop()) }()
	if r.Before, err = e.resident(ctx); err != nil {
		return r, err
	}
	o := m.options(e, &workloads[0])
	o.Connections, o.Window, o.CPU = m.idle, idleOpening, nil
	held, err := client.Hold(ctx, o)
	if err != nil {
		return r, err
	}
	defer held.Close()
	if r.After, err = e.resident(ctx); err != nil {
		return r, err
	}
	if lost, err := held.Lost(); err != nil || lost > 0 {
		return r, errors.Join(err, fmt.Errorf("the server has closed at least %d of the connections meanwhile", lost))
	}
	return r, nil
}

// resident returns the resident memory of all processes of the server, after idleSettle.
func (e *entrant) resident(ctx context.Context) (int64, error) {
	select {
	case <-time.After(idleSettle):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	var sum int64
	for _, pid := range e.server.PIDs() {
		u, err := host.Of(pid)
		if err != nil {
			return 0, err
		}
		sum += u.Resident
	}
	return sum, nil
}
