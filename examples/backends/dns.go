package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	dnsTimeout  = 5 * time.Second // for each message over TCP
	maxDNSConns = 32
)

// A nameServer answers with one address for the names that it knows. No other exists.
type nameServer struct {
	at    netip.Addr      // IPv4
	known map[string]bool // in lower case, without the dot at the end
	udp   net.PacketConn
	tcp   net.Listener
}

// listenDNS listens on the same port by UDP and TCP.
func listenDNS(ctx context.Context, address string, at netip.Addr, known map[string]bool) (*nameServer, error) {
	var err error
	for range 20 { // a free UDP port may be taken for TCP
		s := &nameServer{at: at, known: known}
		if s.udp, err = new(net.ListenConfig).ListenPacket(ctx, "udp", address); err != nil {
			return nil, err
		}
		if s.tcp, err = new(net.ListenConfig).Listen(ctx, "tcp", s.udp.LocalAddr().String()); err == nil {
			return s, nil
		}
		_ = s.udp.Close() // it was not used
	}
	return nil, err
}

func (s *nameServer) address() string { return s.udp.LocalAddr().String() }

// run answers until ctx ends.
func (s *nameServer) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	stop := context.AfterFunc(ctx, func() {
		_ = s.udp.Close() // both only end what follows
		_ = s.tcp.Close()
	})
	defer stop()
	all.Go(s.serveUDP)
	slots := make(chan struct{}, maxDNSConns)
	for {
		slots <- struct{}{}
		c, err := s.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		all.Go(func() {
			defer func() { <-slots }()
			if err == nil {
				s.serveTCP(c)
			}
		})
	}
}

func (s *nameServer) serveUDP() {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if reply, err := s.answer(buf[:n]); err == nil {
			_, _ = s.udp.WriteTo(reply, from) // as if it were lost
		}
	}
}

// serveTCP answers messages, each after its length (RFC 1035, section 4.2.2).
func (s *nameServer) serveTCP(c net.Conn) {
	defer c.Close() //nolint:errcheck // nothing is left to be done
	for {
		if c.SetDeadline(time.Now().Add(dnsTimeout)) != nil {
			return
		}
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		reply, err := s.answer(query)
		if err != nil {
			return
		}
		reply = append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...) // #nosec G115 -- one short answer
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

// answer returns the reply to a query.
func (s *nameServer) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil || header.Response {
		return nil, fmt.Errorf("it is no query: %w", err)
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	switch {
	case !s.known[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
			Body:   &dnsmessage.AResource{A: s.at.As4()},
		}}
	}
	return m.Pack()
}
