package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"kubernaut.io/dynamic-toolset/harness/load/rpc"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// resolveFor bounds the time in which the target's methods must be found.
const resolveFor = 20 * time.Second

// prepareGRPC finds the methods of all targets. A server that can't be reached yet is
// asked again, as this is no load.
func (r *run) prepareGRPC(ctx context.Context) error {
	if r.Protocol != record.GRPC {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveFor)
	defer cancel()
	r.methods = map[string]*rpc.Method{}
	for i := range r.Targets {
		path := r.Targets[i].Path
		for r.methods[path] == nil {
			m, err := r.resolve(ctx, path)
			if err == nil {
				_, err = m.Request(withDuration(r.Targets[i].Body, shortest))
			}
			if err == nil {
				r.methods[path] = m
				break
			}
			var asked *rpc.ReflectionError
			if reached := !errors.As(err, &asked) || asked.Status.Code() != codes.Unavailable; reached && !errors.Is(err, errUnreached) || ctx.Err() != nil {
				return fmt.Errorf("the method %s: %w", path, err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(breath):
			}
		}
	}
	return nil
}

var errUnreached = errors.New("the server can't be reached")

func (r *run) resolve(ctx context.Context, path string) (*rpc.Method, error) {
	m, err := rpc.Described(path, r.Descriptors)
	if !errors.Is(err, rpc.ErrUnknown) || len(r.Descriptors) > 0 {
		return m, err
	}
	q := new(record.Request)
	c := r.dialConn(ctx, q, new(tally))
	if c == nil {
		return nil, fmt.Errorf("%w: %s", errUnreached, q.Detail)
	}
	cc, err := rpc.New(c, r.Host, r.TLS != nil)
	if err != nil {
		return nil, err
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(ctx, r.ResponseTimeout)
	defer cancel()
	return rpc.Resolve(ctx, cc, path, r.Descriptors)
}

// withDuration returns a request in JSON that should take d.
func withDuration(body string, d time.Duration) string {
	return strings.ReplaceAll(body, durationMark, fmt.Sprintf("%.3fs", d.Seconds()))
}

// A grpcChannel is a connection of gRPC.
type grpcChannel struct {
	*rpc.Conn
	run *run
}

func (c *grpcChannel) usable() bool { return c.Usable() }
func (c *grpcChannel) close()       { c.Close() }

func (c *grpcChannel) retire() { c.Retire() }

// exchange implements channel.
func (c *grpcChannel) exchange(ctx context.Context, j *job, q *record.Request) (again bool) {
	ctx, cancel := context.WithTimeout(ctx, j.duration+c.run.ResponseTimeout)
	defer cancel()
	body := j.Body
	if j.duration > 0 {
		body = withDuration(body, j.duration)
	}
	message, err := c.run.methods[j.Path].Request(body)
	if err != nil {
		q.End, q.Outcome, q.Detail = time.Now(), record.Malformed, err.Error()
		return false
	}
	result := c.Call(ctx, j.Path, message, j.given)
	q.End = time.Now()
	q.Again += result.Again
	if name := strings.ToLower(c.run.PodHeader); name != "" {
		if pods := result.Header.Get(name); len(pods) > 0 {
			q.Pod = pods[0]
		}
	}
	if result.FromServer || result.Begun {
		q.Status = http.StatusOK
		c.run.recognise(func(name string) string { return strings.Join(result.Header.Get(name), ", ") })
	}
	code := result.Status.Code()
	q.Outcome = record.OK
	if code == codes.OK {
		return false
	}
	q.Detail = fmt.Sprintf("gRPC status %v: %s", code, result.Status.Message())
	switch {
	case result.Unprocessed:
		q.Outcome = record.NotProcessed
		return true
	case result.FromServer:
		q.Outcome = record.UnexpectedStatus
	case result.IsReset():
		q.Outcome = record.StreamReset
	case code == codes.DeadlineExceeded:
		q.Outcome = record.ResponseTimeout
	case result.Ended != nil && isOfConnection(result.Ended):
		q.Outcome = lostOutcome(result.Ended, result.Ended, result.Begun)
	default:
		q.Outcome = record.Malformed
	}
	return false
}
