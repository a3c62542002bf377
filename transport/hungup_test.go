//go:build linux

package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/transport/api"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// certificateFiles returns the files of a certificate for localhost and of its key, for
// clients that verify neither.
func certificateFiles(t *testing.T) (cert, key string) {
	t.Helper()
	authority, err := certtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return authority.Issue(t, nil).Write(t, t.TempDir())
}

// watching opens an event stream and returns the status of the answer.
func watching(t *testing.T, c net.Conn) int {
	t.Helper()
	if _, err := io.WriteString(c, "GET /api/v1/toolsets/watch HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// A watcher that has left gives up its place long before a heartbeat would notice.
func TestWatcherThatLeavesFreesItsPlace(t *testing.T) {
	cert, key := certificateFiles(t)
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			t.Parallel()
			s := lookupServer(t, func(o *Options) {
				o.Listen, o.MetricsListen, o.MaxWatchers = "127.0.0.1:0", "127.0.0.1:0", 1
				if secure {
					o.TLSCertFile, o.TLSKeyFile = cert, key
				}
			})
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			dial := func() net.Conn {
				c, err := net.Dial("tcp", s.apiPort.listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				if secure {
					return tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // #nosec G402 -- whom it talks to is known
				}
				return c
			}
			defer s.Shutdown(context.Background()) //nolint:errcheck // nothing is looked at any more
			first := dial()
			if status := watching(t, first); status != http.StatusOK {
				t.Fatalf("the first: %d", status)
			}
			first.Close() //nolint:errcheck // it leaves
			testenv.Eventually(t, api.HeartbeatInterval*2/3, "the place is free", func() bool {
				c := dial()
				defer c.Close() //nolint:errcheck // it only asks
				return watching(t, c) == http.StatusOK
			})
		})
	}
}

// A client can't make the TLS layer store more of a handshake than a handshake needs,
// whether the bytes arrive or are only announced.
func TestLongHandshakesEnd(t *testing.T) {
	cert, key := certificateFiles(t)
	s := lookupServer(t, func(o *Options) {
		o.Listen, o.MetricsListen, o.TLSCertFile, o.TLSKeyFile = "127.0.0.1:0", "127.0.0.1:0", cert, key
		o.Limits.ReadTimeout = time.Hour // so that nothing else ends the handshake
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown(context.Background()) }) //nolint:errcheck // nothing is looked at any more
	record := func(announced, sent int) []byte {
		return append([]byte{22, 3, 1, byte(announced >> 8), byte(announced)}, make([]byte, sent)...)
	}
	hello := []byte{1, 0, 0xfd, 0xe8} // a ClientHello that announces 65,000 bytes
	for name, sent := range map[string][]byte{
		"a record that is announced only": record(16384, 10),
		"a message in many records": func() (all []byte) {
			for range 20 {
				r := record(1000, 1000)
				copy(r[5:], hello[:min(len(hello), 1004*(1-min(len(all), 1)))])
				all = append(all, r...)
			}
			return all
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", s.apiPort.listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() //nolint:errcheck // the end of the test
			if err := c.SetDeadline(time.Now().Add(testenv.Patience)); err != nil {
				t.Fatal(err)
			}
			c.Write(sent) //nolint:errcheck // the server may have ended it by now
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the server goes on waiting")
			}
		})
	}
}
