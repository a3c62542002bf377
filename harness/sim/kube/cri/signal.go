package cri

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// The first and the last real-time signal, as programs see them: libc keeps 32 and 33.
const (
	firstRealTime = 34
	lastRealTime  = 64
)

// parseSignal reads a signal as images name it: QUIT, SIGQUIT, 3, SIGRTMIN+3.
func parseSignal(text string) (syscall.Signal, error) {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	n, err := strconv.Atoi(name)
	switch base, offset, ok := strings.Cut(name, "+"); {
	case err == nil:
	case ok && base == "RTMIN" || name == "RTMIN":
		n, _ = strconv.Atoi(offset)
		n += firstRealTime
	case strings.HasPrefix(name, "RTMAX"):
		n, _ = strconv.Atoi(strings.TrimPrefix(name, "RTMAX-"))
		n = lastRealTime - n
	default:
		n = int(unix.SignalNum("SIG" + name))
	}
	if n < 1 || n > lastRealTime {
		return 0, fmt.Errorf("%q is no signal: give one such as SIGTERM", text)
	}
	return syscall.Signal(n), nil
}

// stopSignal returns the signal that the pod specifies, or else the image, or SIGTERM.
func (c *container) stopSignal() syscall.Signal {
	sig := c.cfg.GetStopSignal()
	if sig == runtime.Signal_RUNTIME_DEFAULT && c.image != nil && c.image.stopSignal != 0 {
		return c.image.stopSignal
	}
	if sig >= runtime.Signal_SIGRTMIN {
		return syscall.Signal(sig) - 1 // the CRI numbers them in order: SIGRTMIN (34) is 35
	}
	if n := unix.SignalNum(sig.String()); n != 0 {
		return n
	}
	return unix.SIGTERM
}

// stopSignalName returns the stop signal as the CRI names it.
func (c *container) stopSignalName() runtime.Signal {
	n := c.stopSignal()
	if n >= firstRealTime {
		return runtime.Signal(n) + 1
	}
	if v, ok := runtime.Signal_value[unix.SignalName(n)]; ok {
		return runtime.Signal(v)
	}
	return runtime.Signal_SIGTERM
}
