package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxError bounds the text of an error from a relay, in bytes.
const maxError = 4096

// Dial asks the relay at the other end of conn to connect to an address, and returns
// conn as that connection. On an error it closes conn. The error is a *net.OpError, as
// if the dial were made where the relay is: errors.Is(err, syscall.ECONNREFUSED) and
// the like work, and so does Timeout.
func Dial(ctx context.Context, conn net.Conn, network, address string) (net.Conn, error) {
	through, err := dial(ctx, conn, address)
	if err == nil {
		return through, nil
	}
	_ = conn.Close()
	if ctx.Err() != nil { // the connection then failed because of this
		err = ctx.Err()
	}
	return nil, &net.OpError{Op: "dial", Net: network, Addr: target{network, address}, Err: err}
}

// A target is the address in an error.
type target struct{ network, address string }

func (t target) Network() string { return t.network }
func (t target) String() string  { return t.address }

func dial(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, err
	}
	ended := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer ended()
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if err := request.Write(conn); err != nil {
		return nil, fmt.Errorf("ask the relay: %w", err)
	}
	from := bufio.NewReader(conn)
	resp, err := http.ReadResponse(from, request)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it closed the connection without an answer")
		}
		return nil, fmt.Errorf("the relay's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	if !ended() && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &relayed{conn, from}, nil
}

// refusal returns the error that the relay sent.
func refusal(resp *http.Response) error {
	if n, err := strconv.Atoi(resp.Header.Get(errnoHeader)); err == nil && n > 0 {
		return os.NewSyscallError("connect", syscall.Errno(n)) // #nosec G115 -- an error number
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return fmt.Errorf("the relay answered %s: %w", resp.Status, err)
	}
	return fmt.Errorf("the relay answered %s: %s", resp.Status, strings.TrimSpace(string(text)))
}

// A relayed connection first reads what was buffered behind the relay's answer.
type relayed struct {
	net.Conn
	from *bufio.Reader
}

func (r *relayed) Read(p []byte) (int, error) { return r.from.Read(p) }

// CloseWrite closes the sending side, if the connection can do this.
func (r *relayed) CloseWrite() error {
	if c, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}
