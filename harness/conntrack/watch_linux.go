package conntrack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"
)

const (
	// queued is how many events may wait for their reader.
	queued = 4096
	// readBuffer is the kernel's buffer for events, in bytes. It grants less if
	// net.core.rmem_max is less.
	readBuffer = 4 << 20
	// again is the pause before the events are asked for again.
	again = 10 * time.Millisecond
)

// watch tells of connections until ctx ends, or until the connection tracking can't be
// read. After it has missed some, it tells of all that exist.
func watch(ctx context.Context, f Filter, tell func(line) error) error {
	for first := true; ; first = false {
		err := listen(ctx, f, first, tell)
		if !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		if err := tell(line{Missed: true}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(again):
		}
	}
}

// listen asks for the events, and tells of them until an error. If first, it says when it
// is ready; otherwise, and if the filter asks for ends, it tells of the connections that
// exist, too.
func listen(ctx context.Context, f Filter, first bool, tell func(line) error) error {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return fmt.Errorf("read the connection tracking: %w", err)
	}
	if err := conn.SetReadBuffer(readBuffer); err != nil {
		return errors.Join(fmt.Errorf("read the connection tracking: %w", err), conn.Close())
	}
	events := make(chan conntrack.Event, queued)
	groups := []netfilter.NetlinkGroup{netfilter.GroupCTNew}
	if f.Port != 0 {
		groups = append(groups, netfilter.GroupCTUpdate, netfilter.GroupCTDestroy)
	}
	failed, err := conn.Listen(events, 1, groups)
	if err != nil {
		return errors.Join(fmt.Errorf("ask for the events of the connection tracking (it takes CAP_NET_ADMIN in the node's network): %w", err), conn.Close())
	}
	defer stop(conn, events, failed)
	var begin []line
	if !first || f.Port != 0 {
		if begin, err = dump(f, first); err != nil {
			return err
		}
	}
	if first {
		begin = append(begin, line{Ready: true})
	}
	for _, l := range begin {
		if err := tell(l); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return fmt.Errorf("read the events of the connection tracking: %w", err)
		case e := <-events:
			l, ok := f.line(&e)
			if !ok {
				continue
			}
			if err := tell(l); err != nil {
				return err
			}
		}
	}
}

// stop closes the connection, and waits until its reader has ended, which may want to
// say something until then.
func stop(conn *conntrack.Conn, events <-chan conntrack.Event, failed <-chan error) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = conn.Close() // read only
	}()
	for {
		select {
		case <-closed:
			return
		case <-events:
		case <-failed:
		}
	}
}

// dump returns the connections that exist. At first those that have ended don't matter,
// which the connection tracking knows for two minutes more.
func dump(f Filter, first bool) ([]line, error) {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("read the connection tracking: %w", err)
	}
	all, err := conn.Dump(nil)
	if err = errors.Join(err, conn.Close()); err != nil {
		return nil, fmt.Errorf("list what the connection tracking knows: %w", err)
	}
	var lines []line
	for i := range all {
		if flow, ok := f.flow(&all[i]); ok {
			tcp := all[i].ProtoInfo.TCP
			if first && tcp != nil && tcp.State >= tcpLastAck {
				continue
			}
			if f.Port != 0 && tcp != nil && tcp.State >= tcpSynRecv {
				flow.Taken = flow.At
			}
			lines = append(lines, line{Flow: &flow})
		}
	}
	return lines, nil
}

// flow returns what is told of a connection; false if it is another's. The replies to it
// come from the pod, whatever address the client has asked for.
func (f Filter) flow(c *conntrack.Flow) (Flow, bool) {
	if c == nil {
		return Flow{}, false
	}
	from, to := c.TupleOrig, c.TupleReply
	asked := netip.AddrPortFrom(from.IP.DestinationAddress.Unmap(), from.Proto.DestinationPort)
	if f.Port != 0 {
		if from.Proto.Protocol != unix.IPPROTO_TCP || to.Proto.SourcePort != f.Port {
			return Flow{}, false
		}
		return Flow{
			At: time.Now(), From: from.Proto.SourcePort, To: netip.AddrPortFrom(to.IP.SourceAddress.Unmap(), to.Proto.SourcePort),
			Client: from.IP.SourceAddress.Unmap(), Direct: asked.Addr() == to.IP.SourceAddress.Unmap(),
		}, true
	}
	if from.Proto.Protocol != unix.IPPROTO_TCP || from.IP.SourceAddress.Unmap() != f.Client || asked != f.Service {
		return Flow{}, false
	}
	return Flow{At: time.Now(), From: from.Proto.SourcePort, To: netip.AddrPortFrom(to.IP.SourceAddress.Unmap(), to.Proto.SourcePort)}, true
}

// line returns what is told of an event; false if it says nothing new.
func (f Filter) line(e *conntrack.Event) (line, bool) {
	flow, ok := f.flow(e.Flow)
	switch {
	case !ok:
		return line{}, false
	case e.Type == conntrack.EventNew:
		return line{Flow: &flow}, true
	}
	now := flow.At
	flow.At = time.Time{}
	switch {
	case e.Type == conntrack.EventDestroy:
		flow.Gone = now
	case e.Flow.ProtoInfo.TCP == nil:
		return line{}, false
	default:
		switch e.Flow.ProtoInfo.TCP.State {
		case tcpSynRecv, tcpEstablished:
			flow.Taken = now
		case tcpFinWait, tcpCloseWait:
			flow.Closed = now
		case tcpLastAck, tcpTimeWait:
			flow.Closed, flow.Ended = now, now // the first was told of before, unless it was missed
		case tcpClose:
			flow.Reset = now
		default:
			return line{}, false
		}
	}
	return line{Change: &flow}, true
}

// The states of a TCP connection (enum tcp_conntrack of Linux,
// include/uapi/linux/netfilter/nf_conntrack_tcp.h). The first FIN of either side leads
// to tcpFinWait, a reset to tcpClose.
const (
	tcpSynRecv     = 2
	tcpEstablished = 3
	tcpFinWait     = 4
	tcpCloseWait   = 5
	tcpLastAck     = 6
	tcpTimeWait    = 7
	tcpClose       = 8
)
