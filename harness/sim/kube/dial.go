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

// dialSocket is the socket in the state directory to which package sim connects to ask
// for connections. Only the owner may enter that directory.
const dialSocket = "dial"

const (
	dialRequestTimeout = 5 * time.Second // for the request's line
	// dialTimeout bounds a dial without a deadline of the caller. The kernel gives up
	// before that, after SYNs were not answered for 127 s.
	dialTimeout = 3 * time.Minute
)

// dialRequest is the only line that a caller sends on a connection to dialSocket. It
// then keeps the connection open while it waits for the answer.
type dialRequest struct {
	Network string `json:"network"`
	Address string `json:"address"`
}

// dialAnswer is the only line of the answer. Without an Error, the connected socket
// comes with it in an SCM_RIGHTS message: a socket belongs to the network namespace in
// which it was made, whichever process has it. So there is nothing between the caller
// and its peer, and the caller sees every reset and half-close as it happens.
type dialAnswer struct {
	Error string `json:"error,omitempty"`
	Errno int    `json:"errno,omitempty"` // if the error is the kernel's
	Call  string `json:"call,omitempty"`  // the system call that failed
}

// relayDials serves the socket until this process ends.
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
			if err != nil { // out of descriptors; some will soon be free
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
	go func() { // ends when the caller closes, or conn is closed on return
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

// answerDial writes the answer. The caller may be gone.
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
