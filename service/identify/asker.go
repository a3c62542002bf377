package identify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/identity"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
)

// userAgent tells the owner of an endpoint who asks it.
const userAgent = "kubernaut-dynamic-toolset-identity"

// An asker asks one endpoint, over one connection as far as it is kept open.
type asker struct {
	dialer  *outbound.Dialer
	roots   *x509.CertPool
	timeout time.Duration // of one request
	sent    func(kind string)

	conn    *outbound.Conn
	address string // of conn: scheme://host:port
	trust   string // of conn
}

func (a *asker) close() {
	a.conn.Close()
	a.conn = nil
}

// Get is an identity.Asker's.
func (a *asker) Get(ctx context.Context, raw string) identity.Answer {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return identity.Answer{Failure: identity.Unreachable, Why: "its address is not a valid URL"}
	}
	a.sent("http")
	request := newRequest(http.MethodGet, u)
	request.Header.Set("Accept", "application/json, */*;q=0.5")
	return a.do(ctx, request)
}

func newRequest(method string, u *url.URL) *http.Request {
	return &http.Request{Method: method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"User-Agent": {userAgent}}}
}

// do sends a request and returns its answer.
func (a *asker) do(ctx context.Context, request *http.Request) identity.Answer {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	u := request.URL
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	answer, err := a.exchange(ctx, u.Scheme, u.Hostname(), port, request)
	if err != nil {
		return failure(ctx, u.Hostname(), port, err)
	}
	answer.TLS = a.trust
	return answer
}

// exchange sends a request over the kept connection, or a new one if there is none or the server
// has closed it.
func (a *asker) exchange(ctx context.Context, scheme, host, port string, request *http.Request) (identity.Answer, error) {
	address := scheme + "://" + net.JoinHostPort(host, port)
	if a.conn != nil && a.address != address {
		a.close()
	}
	for {
		kept := a.conn != nil
		if !kept {
			if err := a.open(ctx, scheme, host, port); err != nil {
				return identity.Answer{}, err
			}
			a.address = address
		}
		if request.GetBody != nil {
			request.Body, _ = request.GetBody() // it has no errors
		}
		response, reusable, err := a.conn.Exchange(ctx, request)
		if err != nil {
			a.close()
			if kept && ctx.Err() == nil && errors.Is(err, outbound.ErrNoAnswer) {
				continue
			}
			return identity.Answer{}, err
		}
		var body bytes.Buffer
		whole := a.conn.ReadBody(ctx, response.Body, &body, identity.MaxBody, a.timeout)
		answer := identity.Answer{Status: response.StatusCode, Header: response.Header, Body: body.Bytes(), Cut: !whole && !ended(response, &body)}
		if len(answer.Body) > identity.MaxBody {
			answer.Body = answer.Body[:identity.MaxBody]
		}
		if !reusable || !whole {
			a.close()
		}
		return answer, nil
	}
}

// ended reports whether a body was read to its announced end.
func ended(r *http.Response, body *bytes.Buffer) bool {
	return r.ContentLength >= 0 && int64(body.Len()) == r.ContentLength
}

// open connects, and notes whether the certificate can be trusted. An identity is asked for
// also where it can't be: nothing secret is sent, and the answer says so.
func (a *asker) open(ctx context.Context, scheme, host, port string) (err error) {
	a.trust = ""
	if scheme != "https" {
		a.conn, err = a.dialer.Open(ctx, host, port, nil)
		return err
	}
	trust := service.TLSTrusted
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: true, // #nosec G402 -- verified below, and reported
		VerifyConnection: func(state tls.ConnectionState) error {
			options := x509.VerifyOptions{Roots: a.roots, DNSName: host, Intermediates: x509.NewCertPool()}
			for _, c := range state.PeerCertificates[1:] {
				options.Intermediates.AddCert(c)
			}
			if _, err := state.PeerCertificates[0].Verify(options); err != nil {
				trust = service.TLSUntrusted
			}
			return nil
		},
	}
	if a.conn, err = a.dialer.Open(ctx, host, port, config); err == nil {
		a.trust = trust
	}
	return err
}

// failure returns the Answer for a request that got none.
func failure(ctx context.Context, host, port string, err error) identity.Answer {
	why, final := outbound.Failure(ctx, host, port, err)
	answer := identity.Answer{Failure: identity.Unreachable, Why: why}
	var (
		operation *net.OpError
		dns       *net.DNSError
	)
	switch {
	case why == "":
		answer.Failure, answer.Why = identity.Timeout, "it did not answer in time"
	case final, errors.As(err, &dns), errors.As(err, &operation) && operation.Op == "dial":
	default:
		answer.Failure = identity.Broken
	}
	return answer
}

// Kafka's ApiVersions request, version 0, which every broker since 0.10 answers before
// anybody has logged in (https://kafka.apache.org/protocol, "Api Versions").
const (
	apiVersions   = 18
	correlationID = 0x6b746f6f
	clientID      = "kubernaut-dynamic-toolset"
	maxKafka      = 16 << 10 // bytes of an answer
)

// Kafka is an identity.Asker's.
func (a *asker) Kafka(ctx context.Context, address string) identity.Answer {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return identity.Answer{Failure: identity.Unreachable, Why: "its address is not host:port"}
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	a.sent("kafka")
	conn, err := a.dialer.Dial(ctx, host, port)
	if err != nil {
		return failure(ctx, host, port, err)
	}
	defer conn.Close() //nolint:errcheck // it was only read
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	body := binary.BigEndian.AppendUint16(nil, apiVersions)
	body = binary.BigEndian.AppendUint16(body, 0)
	body = binary.BigEndian.AppendUint32(body, correlationID)
	body = binary.BigEndian.AppendUint16(body, uint16(len(clientID)))
	body = append(body, clientID...)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil { // #nosec G115 -- it is short
		return failure(ctx, host, port, err)
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return failure(ctx, host, port, err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 10 || size > maxKafka {
		return identity.Answer{Status: 400, Why: "its answer is not one of Kafka"}
	}
	answer := make([]byte, size)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return failure(ctx, host, port, err)
	}
	if !isAPIVersions(answer) {
		return identity.Answer{Status: 400, Why: "its answer is not one of Kafka"}
	}
	return identity.Answer{Status: 200}
}

// isAPIVersions reports whether b answers the request with the versions of at least the
// requests to produce, to fetch and to list, which every broker has.
func isAPIVersions(b []byte) bool {
	if binary.BigEndian.Uint32(b) != correlationID || binary.BigEndian.Uint16(b[4:]) != 0 {
		return false
	}
	n, entries := binary.BigEndian.Uint32(b[6:]), b[10:]
	if int64(n)*6 != int64(len(entries)) {
		return false
	}
	seen := map[uint16]bool{}
	for ; len(entries) > 0; entries = entries[6:] {
		seen[binary.BigEndian.Uint16(entries)] = true
	}
	return seen[0] && seen[1] && seen[3] && seen[apiVersions]
}
