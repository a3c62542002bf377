package https

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// ErrNoCloseNotify is the end of a connection that the server closed without the alert
// close_notify. It is an io.ErrUnexpectedEOF.
var ErrNoCloseNotify = fmt.Errorf("closed without the TLS alert close_notify: %w", io.ErrUnexpectedEOF)

// A Settings says how a client speaks TLS.
type Settings struct {
	// CA has the certificates (PEM) of the authorities that may have signed the server's
	// certificate. Empty: those that the system trusts.
	CA string `json:"ca,omitempty"`
	// Insecure accepts any certificate.
	Insecure bool `json:"insecure,omitempty"`
	// ServerName is sent (SNI), and must be in the certificate; empty: the host that is
	// requested.
	ServerName string `json:"serverName,omitempty"`
}

// Config returns the configuration of crypto/tls. host is what is requested, with or
// without a port. protocol is offered by ALPN.
func (s *Settings) Config(host, protocol string) (*tls.Config, error) {
	name := s.ServerName
	if name == "" {
		name = host
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = h
		}
	}
	c := &tls.Config{ServerName: name, NextProtos: []string{protocol}, InsecureSkipVerify: s.Insecure} // #nosec G402 -- only if the user says so
	if s.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(s.CA)) {
			return nil, errors.New("the CA has no certificate: give a PEM file with -----BEGIN CERTIFICATE-----")
		}
	}
	return c, nil
}

// A Conn is a client's connection with TLS.
type Conn struct {
	*tls.Conn
	socket *socket
}

// Client makes the handshake on conn. If it fails, conn is closed.
func Client(ctx context.Context, conn net.Conn, config *tls.Config) (*Conn, error) {
	s := newSocket(conn)
	c := &Conn{tls.Client(s, config), s}
	if err := c.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // it is of no use
		return nil, explain(err, config)
	}
	// A server without ALPN speaks HTTP/1.1.
	if want, got := config.NextProtos[0], c.ConnectionState().NegotiatedProtocol; want != "http/1.1" && got != want {
		_ = conn.Close() // it is of no use
		return nil, fmt.Errorf("the server does not speak %s over TLS: by ALPN it chose %q", want, got)
	}
	return c, nil
}

// explain says what to do about a handshake that failed.
func explain(err error, config *tls.Config) error {
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("the server does not speak TLS on this port: ask it without TLS, or name another port (%w)", err)
	case errors.As(err, &authority):
		return fmt.Errorf("the server's certificate is not signed by an authority that is trusted: give the CA's file, or accept any certificate (%w)", err)
	case errors.As(err, &host):
		return fmt.Errorf("the server's certificate is for another name: give the server name that is in it (%w)", err)
	case strings.Contains(err.Error(), "no application protocol"): // the alert's type is not exported
		return fmt.Errorf("the server does not speak %s over TLS: it refused that protocol by ALPN (%w)", config.NextProtos[0], err)
	}
	return fmt.Errorf("TLS handshake: %w", err)
}

// Read returns ErrNoCloseNotify instead of io.EOF if the end was not announced.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF && c.socket.ended.Load() {
		err = ErrNoCloseNotify
	}
	return n, err
}

// HasClosed reports whether the server's end, announced or not, or its reset has
// arrived, without waiting. look must read from c without consuming, such as
// bufio.Reader.Peek. It returns false if nothing has arrived or if that is data.
func (c *Conn) HasClosed(look func() error) bool {
	if !c.socket.readable() {
		return false
	}
	c.socket.atOnce.Store(true)
	defer c.socket.atOnce.Store(false)
	err := look()
	return err != nil && !errors.Is(err, errNothing)
}

// errNothing says that no more has arrived. It is temporary, so that crypto/tls goes on
// after it.
var errNothing error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing has arrived" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// A socket is the connection below TLS.
type socket struct {
	net.Conn
	poller
	ended  atomic.Bool // a read has reached the end
	atOnce atomic.Bool // reads don't wait
}

func newSocket(conn net.Conn) *socket {
	return &socket{Conn: conn, poller: newPoller(conn)}
}

func (s *socket) Read(p []byte) (n int, err error) {
	if s.atOnce.Load() {
		n, err = s.readNow(p)
	} else {
		n, err = s.Conn.Read(p)
	}
	if err == io.EOF {
		s.ended.Store(true)
	}
	return n, err
}

// closeTimeout bounds the write of close_notify.
const closeTimeout = 100 * time.Millisecond

// Close says close_notify and closes the connection.
func (c *Conn) Close() error {
	_ = c.SetWriteDeadline(time.Now().Add(closeTimeout)) // crypto/tls would wait for 5 s
	return c.Conn.Close()
}
