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
	"net/netip"
	"time"
)

// Port is where the pod listens, in its node's network.
const Port = 29479

// A Flow is a connection of the client, as its node sees it.
type Flow struct {
	At   time.Time      `json:"at"`   // when its first packet was sent, by the node's clock
	From uint16         `json:"from"` // the client's port
	To   netip.AddrPort `json:"to"`   // the pod to which it was sent
}

// line is a line of the response: a flow, or one of the others.
type line struct {
	*Flow
	// Ready says that from now on each connection is told of.
	Ready bool `json:"ready,omitempty"`
	// Missed says that some connections since the last line may not be told of: the
	// kernel had no memory left for them.
	Missed bool   `json:"missed,omitempty"`
	Error  string `json:"error,omitempty"` // the last line
}

// A Filter says which connections are told of: those of one client to one address.
type Filter struct {
	Client  netip.Addr
	Service netip.AddrPort
}
