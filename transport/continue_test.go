package transport_test

import (
	"testing"
	"time"
)

// A client that asks before it sends a body is told to continue, even on a connection
// that has been silent for longer than a response may take.
func TestContinueOnAKeptConnection(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.WriteTimeout = time.Second })
	c := f.dial()
	for range 2 {
		c.write("POST /api/v1/toolsets/validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
		if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if line, err := c.r.ReadString('\n'); err != nil || line != "\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		c.write("{}")
		if r := c.read(); r.StatusCode != 200 {
			t.Fatal(r)
		}
		time.Sleep(1200 * time.Millisecond)
	}
}
