package cri

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// newTerminal makes a pseudo-terminal. It opens the slave through the master
// (TIOCGPTPEER), so that /dev/pts need not be mounted here.
func newTerminal() (master, slave *os.File, err error) {
	// Non-blocking, so that a close ends a read in progress.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a terminal: open /dev/ptmx: %w", err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("unlock the terminal: %w", err), master.Close())
	}
	peer, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, nil, errors.Join(fmt.Errorf("open the terminal's other end: %w", errno), master.Close())
	}
	return master, os.NewFile(peer, "terminal"), nil
}

// resizeTerminal sets the size of the client's window, until ctx ends.
func resizeTerminal(ctx context.Context, master *os.File, sizes <-chan remotecommand.TerminalSize) {
	for {
		var size remotecommand.TerminalSize
		select {
		case <-ctx.Done():
			return
		case s, ok := <-sizes:
			if !ok {
				return
			}
			size = s
		}
		raw, err := master.SyscallConn()
		if err != nil {
			return // closed
		}
		_ = raw.Control(func(fd uintptr) {
			_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
		})
	}
}
