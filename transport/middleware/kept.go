package middleware

import (
	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/transport/internal/conn"
)

// kept is what the middleware keeps with a connection.
type kept struct {
	token auth.Recent
	phase phase // of the current request with a body
}

// Forget is called when the connection is idle, or ends.
func (k *kept) Forget() { k.token.Forget() }

func keptWith(c *conn.Conn) *kept {
	k, ok := c.Attachment.(*kept)
	if !ok {
		k = &kept{}
		c.Attachment = k
	}
	return k
}

// phaseOf returns the phase of the request on a connection.
func phaseOf(c *conn.Conn) phase {
	if k, ok := c.Attachment.(*kept); ok {
		return k.phase
	}
	return noneLeft
}
