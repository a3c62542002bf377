package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialSocket is where package sim asks for connections, in the state directory,
// which only its owner may enter.
const dialSocket = "dial"

const (
	dialRequestTimeout = 5 * time.Second // of the request's line
	// dialTimeout bounds a dial whose caller has no deadline; the kernel gives up
	// earlier, after 127 s of unanswered SYNs.
	dialTimeout = 3 * time.Minute
)

// dialRequest is the one line that a caller sends on a connection to dialSocket.
// It then keeps the connection open for as long as it wants the answer.
type dialRequest struct {
	Network string `json:"network"`
	Address string `json:"address"`
}

// dialAnswer is the one line that comes back. Without an Error the connected
// socket comes with it, as an SCM_RIGHTS message: a socket belongs to the network
// namespace that it was made in, whoever holds it. So nothing stands between the
// caller and its peer, and it sees every reset and every half-close as it
// happened.
type dialAnswer struct {
	Error string `json:"error,omitempty"`
	Errno int    `json:"errno,omitempty"` // where the error is the kernel's
	Call  string `json:"call,omitempty"`  // the system call that failed
}

// relayDials serves the socket for as long as this process lives.
func relayDials(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // out of descriptors: some are given back soon
				time.Sleep(10 * time.Millisecond)
				continue
			}
			go func() {
				defer conn.Close()
				relayDial(conn)
			}()
		}
	}()
	return nil
}

func relayDial(conn *net.UnixConn) {
	_ = conn.SetReadDeadline(time.Now().Add(dialRequestTimeout))
	var req dialRequest
	if err := json.NewDecoder(conn).Decode(&req); err != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	go func() { // ends when the caller hangs up, or conn is closed on return
		_, _ = conn.Read(make([]byte, 1))
		cancel()
	}()
	var dialer net.Dialer
	made, err := dialer.DialContext(ctx, req.Network, req.Address)
	if err != nil {
		answerDial(conn, describe(err), nil)
		return
	}
	defer made.Close()
	raw, err := made.(syscall.Conn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { answerDial(conn, dialAnswer{}, unix.UnixRights(int(fd))) })
	}
	if err != nil {
		answerDial(conn, dialAnswer{Error: err.Error()}, nil)
	}
}

// answerDial writes the line; a caller that is gone needs none.
func answerDial(conn *net.UnixConn, answer dialAnswer, rights []byte) {
	line, err := json.Marshal(answer)
	if err != nil {
		return
	}
	_, _, _ = conn.WriteMsgUnix(append(line, '\n'), rights, nil)
}

func describe(err error) dialAnswer {
	answer := dialAnswer{Error: err.Error()}
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		answer.Call = call.Syscall
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		answer.Errno = int(errno)
	}
	return answer
}
