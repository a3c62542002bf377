package sim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	pollInterval = 15 * time.Millisecond
	pollTimeout  = 2 * time.Second // of one request
)

// waitReady returns when the API server says it is ready and the namespace that
// tests take for granted exists, or when the process has ended, or ctx has.
func (p *plane) waitReady(ctx context.Context, server *process) error {
	client, err := p.probeClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/readyz", "/api/v1/namespaces/default"} {
		for {
			_, last := p.get(ctx, client, path)
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

// maxAnswer bounds an answer: a list of nodes takes a few kilobytes for each.
const maxAnswer = 4 << 20

// get asks for a path as the administrator and wants 200.
func (p *plane) get(ctx context.Context, client *http.Client, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	return body, nil
}

func (p *plane) probeClient() (*http.Client, error) {
	cert, err := tls.X509KeyPair(p.admin.cert, p.admin.key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.authority.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS12,
	}}
	if p.dialAPI != nil {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dialAPI(ctx) }
	}
	return &http.Client{Transport: transport, Timeout: pollTimeout}, nil
}
