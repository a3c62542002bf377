package verify

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/load/agent"
	"kubernaut.io/dynamic-toolset/harness/load/https"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// speakTimeout bounds the question for one protocol.
const speakTimeout = 3 * time.Second

// speaks returns what a Service speaks that did not answer at all, by asking it in each
// way. It is empty if it did answer, or answers in no other way either.
func (v *verification) speaks(ctx context.Context, c load.Config, r *route) string {
	r.mu.Lock()
	answered := r.routed || r.mistake != "" || len(r.wrongSince) > 0
	r.mu.Unlock()
	if answered {
		return ""
	}
	ctx = context.WithoutCancel(ctx)
	var found []string
	for _, protocol := range []record.Protocol{record.HTTP1, record.HTTP2} {
		for _, secure := range []*https.Settings{nil, {Insecure: true}} {
			if p := (Protocol{Name: protocol, TLS: secure}); v.answers(ctx, c, p) {
				found = append(found, p.spoken())
			}
		}
	}
	return strings.Join(found, ", and ")
}

// answers reports whether the Service gives any answer in a protocol.
func (v *verification) answers(ctx context.Context, c load.Config, p Protocol) bool {
	ctx, cancel := context.WithTimeout(ctx, speakTimeout)
	defer cancel()
	asked := load.Config{
		Address: c.Address, Host: c.Host, DialTimeout: time.Second, ResponseTimeout: time.Second,
		Clients: []load.Client{{Class: record.New, Rate: 10}}, Targets: []load.Target{{Path: "/"}},
	}
	p.set(&asked)
	var answered atomic.Bool
	taken := make(chan struct{}, 1)
	session, err := agent.Start(ctx, v.cluster.DialContext, v.agent.Address, asked, func(q record.Request) {
		// A server with TLS may answer what is not TLS by a 400 in plain text.
		if q.Status == 0 || q.Status == 400 && p.TLS == nil {
			return
		}
		answered.Store(true)
		select {
		case taken <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return false
	}
	select {
	case <-taken:
	case <-session.Done():
	case <-ctx.Done():
	}
	stopCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), speakTimeout)
	defer stop()
	_, _ = session.Stop(stopCtx) // what it answered counts
	return answered.Load()
}
