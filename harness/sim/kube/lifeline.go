package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// lifelineEnv is an environment variable with the number of an inherited file
// descriptor. That is the read end of a pipe whose write end only the supervisor has.
const lifelineEnv = "KUBE_LIFELINE_FD"

// followLifeline ends this process as soon as the supervisor has ended, in whatever
// way: the kernel closes the write end of the pipe, and the read below returns. A
// parent-death signal would not do, since it follows the thread that forked, and exists
// on Linux only.
//
// Without the variable, for a component started by hand, it does nothing.
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
	// The goroutine runs until the process ends.
	go func() {
		buf := make([]byte, 1)
		for {
			if n, err := syscall.Read(fd, buf); n == 0 || (err != nil && err != syscall.EINTR) {
				os.Exit(137) // as after SIGKILL, since nothing needs an orderly end
			}
		}
	}()
	return nil
}
