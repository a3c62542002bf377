package conn

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A request that has arrived when an idle connection is about to be closed is read,
// wherever its bytes are. Without a request the connection ends silently.
func TestTLSReadableCheck(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		c, client, holder := established(t, version)
		if _, err := client.Write([]byte("in the socket")); err != nil {
			t.Fatal(err)
		}
		arrived(t, c, 13)
		c.wakeIfIdle(now())
		wantRead(t, c, make([]byte, 100), "in the socket")

		holder.holding = true
		for _, s := range []string{"one", "two"} {
			if _, err := client.Write([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		arrivesTogether(t, c, holder)
		wantRead(t, c, make([]byte, 100), "one")
		c.wakeIfIdle(now())
		wantRead(t, c, make([]byte, 1), "t") // read ahead by the TLS layer, not decrypted yet
		c.wakeIfIdle(now())
		wantRead(t, c, make([]byte, 100), "wo") // decrypted, not returned yet

		c.wakeIfIdle(now())
		if n, err := c.Read(make([]byte, 100)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("an idle connection: %d, %v", n, err)
		}
		wantEnd(t, client)
	})
}

func arrivesTogether(t *testing.T, c *Conn, holder *holdingConn) {
	t.Helper()
	n := len(holder.held)
	holder.send(t, -1)
	arrived(t, c, n)
}

// Part of a record means that a request has begun; the rest is waited for.
func TestTLSReadableCheckMeetsHalfARecord(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		for _, part := range []int{1, 4, 5, 6, 20} {
			c, client, holder := established(t, version)
			holder.holding = true
			if _, err := client.Write([]byte("the request")); err != nil {
				t.Fatal(err)
			}
			holder.send(t, part)
			arrived(t, c, part)
			c.wakeIfIdle(now())
			go func() {
				for c.idle.state.Load() != active {
					time.Sleep(time.Millisecond)
				}
				holder.send(t, -1)
			}()
			wantRead(t, c, make([]byte, 100), "the request")
		}
	})
}

// A client that has sent part of a record and then nothing is waited for as long as a
// request may take, and no longer.
func TestTLSHalfARecordAndNoMore(t *testing.T) {
	c, client, holder := established(t, tls.VersionTLS13)
	c.owner.limits.ReadTimeout = 100 * time.Millisecond
	holder.holding = true
	if _, err := client.Write([]byte("the request")); err != nil {
		t.Fatal(err)
	}
	holder.send(t, 10)
	arrived(t, c, 10)
	c.wakeIfIdle(now())
	if n, err := c.Read(make([]byte, 100)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v", n, err)
	}
}

// A response announces the end of its connection unless the client has sent more data,
// which may be in three places. What is not data does not count.
func TestTLSPipelined(t *testing.T) {
	const request = "GET / HTTP/1.0\r\n\r\n"
	eachVersion(t, func(t *testing.T, version uint16) {
		for _, c := range []struct {
			name string
			// then is what the client writes behind a request; "|" marks the end of a
			// record.
			then string
			cut  int // the number of bytes at the end that don't arrive
			buf  int
			want bool
		}{
			{"nothing", "", 0, 4096, false},
			{"in the buffer", request, 0, 4096, true},
			{"decrypted", request, 0, len(request), true},
			{"read ahead", "|" + request, 0, 4096, true},
			{"half a record", "|" + request, 8, 4096, true},
			{"the end of the session", "|close", 0, 4096, false},
			{"a request and the end", "|" + request + "|close", 0, 4096, true},
		} {
			t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
				server, client, holder := established(t, version)
				holder.holding = true
				for _, record := range strings.Split(request+c.then, "|") {
					var err error
					if record == "close" {
						err = client.CloseWrite()
					} else {
						_, err = client.Write([]byte(record))
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				holder.held = holder.held[:len(holder.held)-c.cut]
				arrivesTogether(t, server, holder)
				buf := make([]byte, c.buf)
				n, err := server.Read(buf)
				if err != nil && !errors.Is(err, io.EOF) || !strings.HasPrefix(string(buf[:n]), request) {
					t.Fatalf("read %q, %v", buf[:n], err)
				}
				server.in.ahead.answered(parsed(t, request))
				if got := server.pipelined(); got != c.want {
					t.Errorf("pipelined: %v", got)
				}
				if got := server.pipelined(); got != c.want {
					t.Errorf("pipelined, asked again: %v", got)
				}
				// The check has not consumed anything.
				rest := strings.NewReplacer("|close", "", "|", "").Replace(request + c.then)[n:]
				if c.cut > 0 {
					rest = ""
				}
				for rest != "" {
					n, err := server.Read(buf)
					if n == 0 || !strings.HasPrefix(rest, string(buf[:n])) {
						t.Fatalf("read %q, %v; want %q", buf[:n], err, rest)
					}
					rest = rest[n:]
				}
			})
		}
	})
}

// The same for bytes in the socket, and after the read deadline of the request has
// passed, as behind a slow handler.
func TestTLSPipelinedBehindASlowHandler(t *testing.T) {
	c, client, _ := established(t, tls.VersionTLS13)
	if _, err := client.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	arrived(t, c, 4)
	if err := c.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	if !c.pipelined() {
		t.Error("not seen")
	}
	wantRead(t, c, make([]byte, 100), "more")
}

// The drain finds the connection idle just as its handshake begins. The rest of the
// handshake must still be read.
func TestTLSWokenDuringTheHandshake(t *testing.T) {
	c, client, holder := tlsPair(t, tls.VersionTLS13)
	holder.split = func() {
		for c.idle.state.Load() != handshaking {
			time.Sleep(time.Millisecond)
		}
		c.idle.woken.Store(int64(now()))
		c.SetReadDeadline(past) //nolint:errcheck // the read tells
		time.Sleep(50 * time.Millisecond)
	}
	go client.Write([]byte("request")) //nolint:errcheck // the read tells
	wantRead(t, c, make([]byte, 100), "request")
}

// A wake that was meant for an earlier silence does not end the connection after a
// request in between.
func TestWokenForAnEarlierSilence(t *testing.T) {
	c, client := pair(t)
	c.idle.woken.Store(c.idle.since.Load())
	if err := c.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	c.idle.since.Add(1)
	go func() {
		time.Sleep(50 * time.Millisecond)
		client.Write([]byte("request")) //nolint:errcheck // the read tells
	}()
	wantRead(t, c, make([]byte, 100), "request")
}

// The session ends with an alert before the connection does. Without it, a client can't
// tell the end from a truncation. (Go's client does not check that, but the test can look
// at what arrives; in TLS 1.2 the type of a record is visible.)
func TestTLSCloseSaysSo(t *testing.T) {
	for _, linger := range []bool{false, true} {
		c, client, holder := established(t, tls.VersionTLS12)
		c.ending.linger = linger
		closed := make(chan error, 1)
		go func() { closed <- c.Close() }()
		b := make([]byte, 100)
		n, err := holder.Read(b)
		if err != nil || b[0] != 0x15 {
			t.Errorf("linger %v: %x, %v; want an alert", linger, b[:n], err)
		}
		if n, err := holder.Read(b); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("linger %v: and then %x, %v", linger, b[:n], err)
		}
		client.Close() //nolint:errcheck // it has ended
		if err := <-closed; err != nil {
			t.Errorf("linger %v: %v", linger, err)
		}
	}
}

// After a write that failed there is no alert. The client may have half a record, and
// would take the alert for a forgery.
func TestTLSCloseAfterABrokenWrite(t *testing.T) {
	c, client, holder := established(t, tls.VersionTLS12)
	if err := c.SetWriteDeadline(past); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("response")); err == nil {
		t.Fatal("a write after its deadline")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	b := make([]byte, 100)
	if n, err := holder.Read(b); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%x, %v", b[:n], err)
	}
	client.Close() //nolint:errcheck // it has ended
}

// Between the bytes of the client and the handlers our code allocates nothing: an
// exchange allocates no more than with a bare tls.Conn.
func TestLookupsDoNotAllocateOverTLS(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates; make test runs this test once more without it")
	}
	eachVersion(t, func(t *testing.T, version uint16) {
		c, client, _ := established(t, version)
		buf := make([]byte, 4096)
		exchange := func(server io.ReadWriter) func() {
			return func() {
				client.Write(buf[:200]) //nolint:errcheck // the reads tell
				if n, err := server.Read(buf); n != 200 || err != nil {
					t.Fatal(n, err)
				}
				server.Write(buf[:200]) //nolint:errcheck
				if n, err := client.Read(buf); n != 200 || err != nil {
					t.Fatal(n, err)
				}
			}
		}
		bare, ours := testing.AllocsPerRun(500, exchange(c.tls.layer.session)), testing.AllocsPerRun(500, exchange(c))
		if ours > bare {
			t.Errorf("%v allocations for each exchange, %v with the bare session", ours, bare)
		}
		t.Logf("allocations of both ends: %v, with the bare session %v", ours, bare)
	})
}

// However a stream is cut into pieces, its records end at the same places.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{22, 3, 1, 0, 2, 9, 9, 23, 3, 3, 0, 0, 23, 3, 3, 1, 0}, uint8(1))
	f.Add([]byte{}, uint8(7))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		var whole, cut records
		whole.follow(stream)
		for b := stream; len(b) > 0; {
			n := min(len(b), int(size)%16+1)
			cut.follow(b[:n])
			b = b[n:]
		}
		if whole != cut {
			t.Fatalf("at once %+v, in pieces %+v", whole, cut)
		}
		// The same from the length fields alone.
		rest := stream
		for len(rest) >= 5 {
			n := 5 + int(rest[3])<<8 + int(rest[4])
			if len(rest) < n {
				break
			}
			rest = rest[n:]
		}
		if whole.within() != (len(rest) > 0) {
			t.Fatalf("within a record: %v, with %d bytes behind the last", whole.within(), len(rest))
		}
	})
}
