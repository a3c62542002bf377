package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/transport/certificate"
	"kubernaut.io/dynamic-toolset/transport/middleware"
)

// protocols are what ALPN may agree on (RFC 7301; the names are registered with IANA). A
// client that offers only others, such as h2, is refused with the alert
// no_application_protocol. One that offers none is assumed to speak HTTP/1.1.
var protocols = []string{"http/1.1", "http/1.0"}

// serverTLS has the certificate and the metrics that both ports share.
type serverTLS struct {
	log    *zap.Logger
	files  *certificate.Files
	config atomic.Pointer[tls.Config]

	failedHandshakes       *metrics.Counter
	reloads, failedReloads *metrics.Counter

	lastFailure string // of a reload, as last logged
	expiryTold  bool   // the expiry of the current certificate has been logged
}

// newServerTLS loads the certificate and registers the metrics. Without TLS there are no
// such metrics: an expiry of 0 would raise an alert.
func newServerTLS(certFile, keyFile string, log *zap.Logger, set *metrics.Set) (*serverTLS, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("transport: TLS needs both, the file of the certificate and that of its key")
	}
	files, err := certificate.Open(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	t := &serverTLS{
		log: log, files: files,
		failedHandshakes: set.NewCounter("toolset_tls_handshake_failures_total"),
		reloads:          set.NewCounter(`toolset_tls_certificate_reloads_total{result="success"}`),
		failedReloads:    set.NewCounter(`toolset_tls_certificate_reloads_total{result="failure"}`),
	}
	set.NewGauge("toolset_tls_certificate_expiry_seconds", func() float64 {
		return time.Until(files.Current().Leaf.NotAfter).Seconds()
	})
	t.use()
	return t, nil
}

// use makes new connections use the current certificate. Each certificate has a
// tls.Config of its own, and so its own session tickets: nobody can resume a session of a
// certificate that was replaced, perhaps because its key was stolen.
func (t *serverTLS) use() {
	t.config.Store(&tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   protocols,
		Certificates: []tls.Certificate{*t.files.Current()},
	})
	t.expiryTold = false
}

// refresh loads the certificate if its files have changed. A failure is logged once, and
// counted each time, so that an alert lasts as long as its cause.
func (t *serverTLS) refresh() {
	changed, err := t.files.Refresh()
	leaf := t.files.Current().Leaf
	switch {
	case err != nil:
		t.failedReloads.Inc()
		if s := err.Error(); s != t.lastFailure {
			t.lastFailure = s
			t.log.Error("The new TLS certificate can't be used; the old one stays", zap.Error(err), zap.Time("old_expires", leaf.NotAfter))
		}
	case changed:
		t.use()
		t.reloads.Inc()
		t.lastFailure = ""
		t.log.Info("TLS certificate reloaded", zap.Stringer("serial", leaf.SerialNumber), zap.Strings("names", leaf.DNSNames), zap.Time("expires", leaf.NotAfter))
	}
	if !t.expiryTold && time.Now().After(leaf.NotAfter) {
		t.expiryTold = true
		t.log.Error("The TLS certificate has expired; clients refuse it until its files are replaced", zap.Time("expired", leaf.NotAfter))
	}
}

// watchCertificate calls refresh until the server ends.
func (s *Server) watchCertificate() {
	t := time.NewTicker(s.opts.TLSRefresh)
	defer t.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-t.C:
			s.tls.refresh()
		}
	}
}

// failed logs a handshake that failed, at debug level, since any client can cause that.
func (t *serverTLS) failed(client net.Addr, err error) {
	t.failedHandshakes.Inc()
	if ce := t.log.Check(zap.DebugLevel, "TLS handshake failed"); ce != nil {
		ce.Write(zap.String("error", middleware.HandshakeClass(err)), zap.Stringer("client", client))
	}
}
