// Package conntrack tells to which pod each connection of a client was sent.
//
// Behind the address of a Service a client can't see which pod has refused, reset or
// ignored its connection. The client's own node knows: it has chosen the pod, and its
// connection tracking (nf_conntrack) keeps the choice, so that all packets of the
// connection go the same way. A [Handler], in a pod in the node's network that may read
// it, tells of each connection as it is made, since those that are refused are forgotten
// at once. [Follow] collects what it tells.
//
// A connection that was sent to a pod of the client's own node which is gone leaves no
// trace: its packets are dropped before it is tracked.
package conntrack

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// FirstPort is the first of the ports of which the pod takes one at random, in its node's
// network; there are Ports of them, below those that nodes have for Services. Others may
// read the same node's connection tracking at the same time.
const (
	FirstPort = 29479
	Ports     = 500
)

// A Flow is a connection of the client, as its node sees it.
type Flow struct {
	At   time.Time      `json:"at"`   // when its first packet was sent, by the node's clock
	From uint16         `json:"from"` // the client's port
	To   netip.AddrPort `json:"to"`   // the pod to which it was sent

	// Client is who has opened it. It is not given if the filter has only one.
	Client netip.Addr `json:"client,omitzero"`
	// Direct says that the client has asked for the pod itself, and not for a Service. It is
	// only known with Client.
	Direct bool `json:"direct,omitempty"`
	// What became of it, if the filter asks for ends: when the pod had taken it, when the
	// first side closed it, when the other did, too, when it was reset, and when the node
	// forgot it. Zero: it did not, or not yet. Which side closed or reset it, the node does
	// not tell.
	Taken  time.Time `json:"taken,omitzero"`
	Closed time.Time `json:"closed,omitzero"`
	Ended  time.Time `json:"ended,omitzero"`
	Reset  time.Time `json:"reset,omitzero"`
	Gone   time.Time `json:"gone,omitzero"`
}

// Refused reports whether nobody took the connection: its first packets were answered by a
// reset, or by an error of the network, or not at all.
func (f *Flow) Refused() bool { return f.Taken.IsZero() && !f.Gone.IsZero() }

// line is a line of the response: a flow, or one of the others.
type line struct {
	*Flow
	// Change says that the last connection between the same two, from the same port, has
	// changed: its times that are not zero are new.
	Change *Flow `json:"change,omitempty"`
	// Ready says that from now on each connection is told of.
	Ready bool `json:"ready,omitempty"`
	// Missed says that some connections since the last line may not be told of: the
	// kernel had no memory left for them.
	Missed bool   `json:"missed,omitempty"`
	Error  string `json:"error,omitempty"` // the last line
}

// A Filter says which connections are told of: those of one client to one address; or if
// Port is not 0, those of any client to a pod that has this port, and what becomes of them.
type Filter struct {
	Client  netip.Addr
	Service netip.AddrPort
	Port    uint16
}

// values returns the filter as the query of a request.
func (f Filter) values() url.Values {
	if f.Port != 0 {
		return url.Values{"port": {strconv.Itoa(int(f.Port))}}
	}
	return url.Values{"client": {f.Client.String()}, "service": {f.Service.String()}}
}

// parseFilter reads what values returns.
func parseFilter(v url.Values) (Filter, error) {
	if text := v.Get("port"); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err == nil && port == 0 {
			err = errors.New("port 0 is none")
		}
		return Filter{Port: uint16(port)}, err // #nosec G115 -- parsed with 16 bits
	}
	client, err1 := netip.ParseAddr(v.Get("client"))
	service, err2 := netip.ParseAddrPort(v.Get("service"))
	return Filter{Client: client, Service: service}, errors.Join(err1, err2)
}
