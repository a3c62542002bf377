package conn

import "bytes"

// What the HTTP server writes and the client shall not see is left out here.

// A mute is what is not sent.
type mute uint8

const (
	nothingMuted mute = iota
	continueLine      // "100 Continue", once
	everything
)

var responseContinue = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// MuteContinue keeps the next "100 Continue" from the client.
func (c *Conn) MuteContinue() { c.out.muted = continueLine }

// MuteEverything keeps all that is written from now on from the client.
func (c *Conn) MuteEverything() { c.out.muted = everything }

// writeMuted writes p without what is muted. "100 Continue" is the end of what
// the server writes at a time, behind responses that it has not sent yet; only where
// these fill its buffer does it come in two pieces.
func (c *Conn) writeMuted(p []byte) (int, error) {
	if c.out.muted == everything {
		return len(p), nil
	}
	// The beginning of it that the last write may have ended with.
	cut := responseContinue[:c.out.mutedCut]
	c.out.mutedCut = 0
	rest := p
	switch {
	case len(cut) > 0 && bytes.Equal(p, responseContinue[len(cut):]):
		c.out.muted = nothingMuted
		return len(p), nil
	case bytes.HasSuffix(p, responseContinue):
		c.out.muted = nothingMuted
		rest = p[:len(p)-len(responseContinue)]
	default:
		for n := len(responseContinue) - 1; n > 0; n-- {
			if bytes.HasSuffix(p, responseContinue[:n]) {
				c.out.mutedCut = int8(n) // #nosec G115 -- the line is short
				rest = p[:len(p)-n]
				break
			}
		}
	}
	if len(cut) > 0 { // it was not: a response happened to end like that
		rest = append(bytes.Clone(cut), rest...)
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	if len(rest) > 0 {
		if _, err := c.write(rest); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
