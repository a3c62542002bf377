package conn

import "bytes"

// A client must not see everything that the HTTP server writes. This file leaves out the
// rest.

// A mute says what is not sent.
type mute uint8

const (
	nothingMuted mute = iota
	continueLine      // the line "100 Continue", once
	everything
)

var responseContinue = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// MuteContinue leaves the next "100 Continue" out.
func (c *Conn) MuteContinue() { c.out.muted = continueLine }

// MuteEverything leaves everything out that is written from now on.
func (c *Conn) MuteEverything() { c.out.muted = everything }

// writeMuted writes p without what is muted. "100 Continue" is at the end of a write,
// behind responses that the server has not sent yet. It comes in two pieces only if these
// responses fill the server's buffer.
func (c *Conn) writeMuted(p []byte) (int, error) {
	if c.out.muted == everything {
		return len(p), nil
	}
	// The last write may have ended with the beginning of the line.
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
	if len(cut) > 0 { // a response happened to end like the beginning of the line
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
