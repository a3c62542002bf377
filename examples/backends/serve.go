package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"kubernaut.io/dynamic-toolset/internal/selfsigned"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// A site is a port, and who answers there under which name.
type site struct {
	listener net.Listener
	products map[string]http.Handler
	tls      *tls.Config
	silent   bool
}

// open listens on the ports of all, at this address. It returns the sites, and the names that shall exist.
// Of a port that is in use it tells, and the names for it shall not exist: somebody else
// listens there.
func open(ctx context.Context, address netip.Addr, all []standIn, recorded fs.FS, tell io.Writer) (sites map[uint16]*site, names map[string]bool, err error) {
	sites, names = map[uint16]*site{}, map[string]bool{}
	inUse := map[uint16]bool{}
	for i := range all {
		s := &all[i]
		if s.absent {
			names[s.host()] = true
			continue
		}
		at := sites[s.port]
		if at == nil && !inUse[s.port] {
			if at, err = listen(ctx, address, s); err != nil {
				inUse[s.port] = true
				fmt.Fprintf(tell, "Port %d can't be used (%v): the back ends of the example that would answer there stay unhealthy.\n", s.port, cause(err)) //nolint:errcheck // nobody is left to be told
			} else {
				sites[s.port] = at
			}
		}
		if at == nil {
			continue
		}
		names[s.host()] = true
		if s.silent {
			continue
		}
		p, err := loadProduct(recorded, s.recorded)
		if err != nil {
			closeAll(sites)
			return nil, nil, err
		}
		at.products[s.host()] = p
	}
	return sites, names, nil
}

// cause returns why a port can't be listened on, without the address.
func cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

func listen(ctx context.Context, at netip.Addr, s *standIn) (*site, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(at, s.port).String())
	if err != nil {
		return nil, err
	}
	one := &site{listener: l, products: map[string]http.Handler{}, silent: s.silent}
	if s.tls {
		if one.tls, err = selfSigned(s.host()); err != nil {
			_ = l.Close() // it was not used
			return nil, err
		}
	}
	return one, nil
}

func closeAll(sites map[uint16]*site) {
	for _, s := range sites {
		_ = s.listener.Close() // it was only listening
	}
}

// run answers until ctx ends.
func (s *site) run(ctx context.Context) {
	if s.silent {
		s.keepSilent(ctx)
		return
	}
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, TLSConfig: s.tls, ErrorLog: log.New(io.Discard, "", 0), // each check of the certificate would fill it
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // no answer matters any more
	defer stop()
	if s.tls != nil {
		_ = server.ServeTLS(s.listener, "", "") // it returns when the server is closed
	} else {
		_ = server.Serve(s.listener)
	}
}

// maxSilent is how many connections are kept open without an answer.
const maxSilent = 64

// keepSilent accepts connections until ctx ends, and closes each when the client does.
func (s *site) keepSilent(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	slots := make(chan struct{}, maxSilent)
	for {
		c, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			_ = c.Close() // too many
			continue
		}
		all.Go(func() {
			defer func() { <-slots }()
			hangUp := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer hangUp()
			_, _ = io.Copy(io.Discard, c) // until the client closes it
			_ = c.Close()
		})
	}
}

// ServeHTTP lets that product answer which the request names.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	p := s.products[strings.ToLower(strings.TrimSuffix(host, "."))]
	if p == nil {
		http.Error(w, "the example has no back end of this name here: send a Host header, such as with curl -H Host:NAME", http.StatusMisdirectedRequest)
		return
	}
	p.ServeHTTP(w, r)
}

// selfSigned returns a certificate for host that nobody trusts.
func selfSigned(host string) (*tls.Config, error) {
	cert, key, err := selfsigned.New(host)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}
