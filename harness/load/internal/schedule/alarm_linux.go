package schedule

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An alarm waits by a timer of the kernel, which is accurate to about 0.1 ms. If there
// is nothing else to do, timers of the Go runtime only wake up at whole milliseconds,
// which would show in every latency; and a nanosleep would keep a processor from other
// goroutines.
type alarm struct {
	fd   int
	file *os.File // of fd; a read waits for the timer
	free func() bool
}

// newAlarm returns an alarm that stops waiting when ctx ends.
func newAlarm(ctx context.Context) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("a timer: %w", err)
	}
	a := &alarm{fd: fd, file: os.NewFile(uintptr(fd), "timer")}
	a.free = context.AfterFunc(ctx, func() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }) // if it is closed, nobody waits
	return a, nil
}

// wait returns after d, which must be positive, or when the context has ended.
func (a *alarm) wait(d time.Duration) error {
	once := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if err := unix.TimerfdSettime(a.fd, 0, &once, nil); err != nil {
		return fmt.Errorf("a timer: %w", err)
	}
	var times [8]byte
	if _, err := a.file.Read(times[:]); err != nil && !os.IsTimeout(err) {
		return fmt.Errorf("a timer: %w", err)
	}
	return nil
}

func (a *alarm) close() {
	a.free()
	_ = a.file.Close() // only read from
}
