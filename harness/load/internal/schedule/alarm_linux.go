package schedule

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes up at a moment, by a timer of the kernel, to about 0.1 ms. The
// runtime's own timers wake up on whole milliseconds when there is nothing else
// to do, which would be seen in every latency; and a plain nanosleep keeps a
// processor from the goroutines that have requests to send.
type alarm struct {
	fd   int
	file *os.File // of fd; reading waits
	free func() bool
}

// newAlarm makes an alarm that no longer waits once ctx has ended.
func newAlarm(ctx context.Context) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("a timer: %w", err)
	}
	a := &alarm{fd: fd, file: os.NewFile(uintptr(fd), "timer")}
	a.free = context.AfterFunc(ctx, func() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) }) // closed, nobody waits
	return a, nil
}

// wait returns after d, which is more than 0, or when the context has ended.
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
