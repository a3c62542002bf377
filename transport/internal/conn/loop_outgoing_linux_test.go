package conn

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// slices are Pieces.
type slices [][]byte

func (s *slices) Piece(i int) []byte {
	if i < len(*s) {
		return (*s)[i]
	}
	return nil
}

// cut returns b in n pieces of chance lengths, some of them empty.
func cut(r *rand.Rand, b []byte, n int) *slices {
	s := slices{}
	for ; n > 1; n-- {
		k := r.IntN(len(b)/n*2 + 1)
		if r.IntN(8) == 0 {
			k = 0
		}
		s = append(s, b[:k:k])
		b = b[k:]
	}
	return ptr(append(s, b))
}

func ptr[T any](v T) *T { return &v }

func chance(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return b
}

// However much is sent at once, all is sent, once, and in order.
func TestOutgoing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- a test
	for range 2000 {
		first, body := chance(r, r.IntN(40)), chance(r, r.IntN(3000))
		o := outgoing{bytes: first, body: cut(r, body, 1+r.IntN(2*batchPieces))}
		if r.IntN(10) == 0 {
			o.body, body = nil, nil
		}
		var got []byte
		for {
			pieces := o.pieces(make(net.Buffers, 0, batchPieces))
			if len(pieces) == 0 {
				break
			}
			all := bytes.Join(pieces, nil)
			n := r.IntN(len(all) + 1)
			if r.IntN(3) == 0 {
				n = len(all)
			}
			got = append(got, all[:n]...)
			o.advance(n)
		}
		if want := append(bytes.Clone(first), body...); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes sent, want %d", len(got), len(want))
		}
	}
}

// bigBody is answered to "big\n" and "last\n".
func bigBody(o *Options) []byte {
	r := rand.New(rand.NewPCG(3, 4)) // #nosec G404 -- a test
	body := chance(r, 3<<20)
	pieces, answer := cut(r, body, 500), o.Answer
	o.Answer = func(c *Conn, b, to []byte) (int, []byte, bool) {
		for _, say := range []string{"big\n", "last\n"} {
			if bytes.HasPrefix(b, []byte(say)) {
				_, end := c.AnsweredAhead(b[len(say):], say == "last\n")
				c.AppendPieces(pieces)
				return len(say), append(to, "body "...), end
			}
		}
		return answer(c, b, to)
	}
	return append([]byte("body "), body...)
}

// A body is sent from where it is, also to a client that takes it slowly, in the order of the
// requests. Then the connection is in the loop again, unless that has happened too often.
func TestBodiesInPieces(t *testing.T) {
	t.Parallel()
	var body []byte
	var served atomic.Int32
	l := looping(t, 1, func(o *Options) {
		body = bigBody(o)
		o.Serve = func(c net.Conn) { served.Add(1); echo(c) }
	})
	want := func(c net.Conn, want []byte) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("not what was to be sent, %v", err)
		}
	}
	inLoop := func() bool { return l.loops.all[0].load.Load() == 1 }
	c := dial(t, l)
	c.SetDeadline(time.Now().Add(10 * testenv.Patience)) //nolint:errcheck // the read tells
	ask := func(what string) {
		t.Helper()
		io.WriteString(c, what) //nolint:errcheck // the read tells
		testenv.Eventually(t, testenv.Patience, "the loop has sent what the client took at once", func() bool { _, inFlight := l.Count(); return inFlight == 1 })
	}
	ask("ping\nbig\nping\n")
	want(c, fmt.Appendf(nil, "pong\n%sping\n", body)) // the server echoes what the loop has read
	testenv.Eventually(t, testenv.Patience, "the connection is in the loop again", inLoop)
	for range mostRests {
		ask("big\n")
		want(c, body)
		testenv.Eventually(t, testenv.Patience, "it is in the loop again", inLoop)
	}
	if n := served.Load(); n != 1 {
		t.Errorf("the server had it %d times, and not once", n)
	}
	ask("big\n")
	want(c, body)
	speak(t, c, "ping\n", "ping\n") // the server has it
	testenv.Eventually(t, testenv.Patience, "it is in the loop when it was silent", inLoop)
	speak(t, c, "ping\n", "pong\n")
	if n := l.made.Load(); n != 0 {
		t.Errorf("%d bytes of bodies are still counted", n)
	}
	io.WriteString(c, "last\n") //nolint:errcheck // as above
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, body) {
		t.Errorf("not what was to be sent at the end: %d bytes, %v", len(got), err)
	}
}

// The drain waits for a body that a client is taking, and cuts one that a client does not take.
func TestDrainOfBodiesInPieces(t *testing.T) {
	t.Parallel()
	for _, takes := range []bool{true, false} {
		var body []byte
		l := looping(t, 2, func(o *Options) { body = bigBody(o) })
		c := dial(t, l)
		io.WriteString(c, "big\n") //nolint:errcheck // the read tells
		testenv.Eventually(t, testenv.Patience, "the body is under way", func() bool { _, inFlight := l.Count(); return inFlight == 1 })
		drained := make(chan error)
		timeout := testenv.Patience
		if !takes {
			timeout = time.Second
		}
		go func() { drained <- l.Drain(timeout, 0, time.Now()) }()
		if !takes {
			if err := <-drained; err == nil {
				t.Error("the drain has not cut what nobody took")
			}
			continue
		}
		c.SetDeadline(time.Now().Add(testenv.Patience)) //nolint:errcheck // the read tells
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, body) {
			t.Errorf("not what was to be sent: %d bytes, %v", len(got), err)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	}
}
