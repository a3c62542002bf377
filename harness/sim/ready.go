package sim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	pollInterval = 15 * time.Millisecond
	pollTimeout  = 2 * time.Second // of one request
)

// waitReady returns when the API server says it is ready and the namespace that
// tests take for granted exists, or when the process has ended, or ctx has.
func (cp *ControlPlane) waitReady(ctx context.Context, p *process) error {
	client, err := cp.probeClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/readyz", "/api/v1/namespaces/default"} {
		for {
			last := cp.probe(ctx, client, path)
			if last == nil {
				break
			}
			select {
			case <-p.done:
				return fmt.Errorf("%s ended (%s) before it was ready", p.role, p.status)
			case <-ctx.Done():
				return fmt.Errorf("%s was not ready in time: %w; the last answer: %w", p.role, ctx.Err(), last)
			case <-time.After(pollInterval):
			}
		}
	}
	return nil
}

// probe asks for a path as the administrator and wants 200.
func (cp *ControlPlane) probe(ctx context.Context, client *http.Client, path string) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cp.url()+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	return nil
}

func (cp *ControlPlane) probeClient() (*http.Client, error) {
	cert, err := tls.X509KeyPair(cp.admin.cert, cp.admin.key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cp.authority.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: roots, MinVersion: tls.VersionTLS12,
	}}
	return &http.Client{Transport: transport, Timeout: pollTimeout}, nil
}
