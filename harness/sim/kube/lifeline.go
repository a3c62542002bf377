package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// lifelineEnv names the environment variable that holds the number of an
// inherited file descriptor, the read end of a pipe whose write end only the
// supervisor has.
const lifelineEnv = "KUBE_LIFELINE_FD"

// followLifeline ends this process as soon as the supervisor is gone, however it
// went: the kernel closes a dead process's end of the pipe, and the read below
// returns. A parent-death signal would not do: it follows the thread that forked,
// and exists on Linux only.
//
// Without the variable (a component called by hand) it does nothing.
func followLifeline() error {
	value, ok := os.LookupEnv(lifelineEnv)
	if !ok {
		return nil
	}
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return fmt.Errorf("%s must be the number of an inherited descriptor, not %q", lifelineEnv, value)
	}
	if err := os.Unsetenv(lifelineEnv); err != nil {
		return err
	}
	syscall.CloseOnExec(fd)
	// The goroutine lives as long as the process.
	go func() {
		buf := make([]byte, 1)
		for {
			if n, err := syscall.Read(fd, buf); n == 0 || (err != nil && err != syscall.EINTR) {
				os.Exit(137) // as after SIGKILL: nothing here is worth an orderly end
			}
		}
	}()
	return nil
}
