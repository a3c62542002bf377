package observe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/harness/problemdoc"
	"kubernaut.io/dynamic-toolset/harness/record"
)

const (
	// probeInterval is short enough to measure a bound of one second to a tenth.
	probeInterval = 100 * time.Millisecond
	probeTimeout  = time.Second
	maxProbes     = 2000 // per pod and kind, enough for over three minutes
	maxProbeBody  = 64 << 10
)

// startProbes probes a terminating pod until stopProbes. o.mu must be held.
func (o *Observer) startProbes(p *pod) {
	ctx, cancel := context.WithCancel(o.life)
	p.probing = cancel
	ip := p.IP
	for _, kind := range []struct {
		kind record.ProbeKind
		port int
		path string
	}{{record.Readiness, o.opts.ReadinessPort, o.opts.ReadinessPath}, {record.Liveness, o.opts.LivenessPort, o.opts.LivenessPath}} {
		if kind.path != "" {
			url := "http://" + net.JoinHostPort(ip, strconv.Itoa(kind.port)) + kind.path
			o.work.Go(func() {
				// A client of net/http sends a request again only if the connection was used
				// before.
				client := &http.Client{
					Timeout:       probeTimeout,
					Transport:     &http.Transport{DialContext: o.opts.Dial, DisableKeepAlives: true},
					CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
				}
				o.probe(ctx, p, func(ctx context.Context) record.Probe { return ask(ctx, client, kind.kind, url) })
			})
		}
	}
	asked := o.opts.ReadinessPath != "" && o.opts.ReadinessPort == o.opts.Port || o.opts.LivenessPath != "" && o.opts.LivenessPort == o.opts.Port
	if address := net.JoinHostPort(ip, strconv.Itoa(o.opts.Port)); o.opts.Port != 0 && !asked {
		o.work.Go(func() {
			o.probe(ctx, p, func(ctx context.Context) record.Probe { return o.connect(ctx, address) })
		})
	}
}

// stopProbes ends the probes of a pod. o.mu must be held.
func (o *Observer) stopProbes(p *pod) {
	if p.probing != nil {
		p.probing()
	}
}

// probe makes a probe every probeInterval, each on a new connection, without waiting for
// the answers to earlier ones.
func (o *Observer) probe(ctx context.Context, p *pod, one func(context.Context) record.Probe) {
	var asking sync.WaitGroup
	defer asking.Wait()
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for range maxProbes {
		asking.Go(func() {
			probe := one(ctx)
			if ctx.Err() != nil {
				return // the end of the pod was seen
			}
			o.mu.Lock()
			p.Probes = append(p.Probes, probe)
			o.mu.Unlock()
		})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// connect makes a connection, and closes it.
func (o *Observer) connect(ctx context.Context, address string) record.Probe {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	probe := record.Probe{Kind: record.Connection, At: time.Now()}
	conn, err := o.opts.Dial(ctx, "tcp", address)
	probe.Took = time.Since(probe.At)
	if err != nil {
		probe.Refused, probe.Detail = errors.Is(err, syscall.ECONNREFUSED), err.Error()
		return probe
	}
	_ = conn.Close() // nothing was sent
	return probe
}

func ask(ctx context.Context, client *http.Client, kind record.ProbeKind, url string) record.Probe {
	began := time.Now()
	probe := record.Probe{Kind: kind, At: began}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		probe.Detail = err.Error()
		return probe
	}
	resp, err := client.Do(req)
	probe.Took = time.Since(began)
	if err != nil {
		probe.Refused, probe.Detail = errors.Is(err, syscall.ECONNREFUSED), err.Error()
		return probe
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProbeBody))
	probe.Took = time.Since(began)
	if err != nil {
		probe.Detail = err.Error() // an incomplete response counts as none
		return probe
	}
	probe.Status = resp.StatusCode
	probe.Problem = problemdoc.Check(resp.Header.Get("Content-Type"), body, resp.StatusCode) == nil
	return probe
}
