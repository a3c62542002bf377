package sim

import (
	"context"
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	pollInterval = 15 * time.Millisecond
	pollTimeout  = 2 * time.Second // of one request
)

// waitReady waits until the API server is ready and the namespace "default" exists, or
// the process or ctx has ended.
func (p *plane) waitReady(ctx context.Context, server *process) error {
	get, done, err := p.getter()
	if err != nil {
		return err
	}
	defer done()
	for _, path := range []string{"/readyz", "/api/v1/namespaces/default"} {
		for {
			last := get(ctx, path).Error()
			if last == nil {
				break
			}
			select {
			case <-server.done:
				return fmt.Errorf("%s ended (%s) before it was ready", server.name, server.status)
			case <-ctx.Done():
				return fmt.Errorf("%s was not ready in time: %w; the last answer: %w", server.name, ctx.Err(), last)
			case <-time.After(pollInterval):
			}
		}
	}
	return nil
}

// getter returns a function that sends one GET request as the administrator, and one
// that closes the connections.
func (p *plane) getter() (get func(ctx context.Context, path string) rest.Result, done func(), err error) {
	config := p.RESTConfig()
	config.Timeout = pollTimeout
	if p.dialAPI != nil {
		config.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dialAPI(ctx) }
	}
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, nil, err
	}
	client, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, path string) rest.Result {
		return client.RESTClient().Get().AbsPath(path).MaxRetries(0).Do(ctx)
	}, httpClient.CloseIdleConnections, nil
}
