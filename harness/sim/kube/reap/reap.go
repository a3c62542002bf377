// Package reap lets a process be process 1 of a PID namespace, and also start and wait
// for its own processes.
//
// Process 1 inherits every process whose parent ends first, and must reap it, or it
// stays a zombie. A loop that waits for any child with wait4 would do so, but would
// also take the exit status of children for which others wait.
package reap

import (
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Children are the processes that this one has started and waits for. The zero value is
// ready to use.
type Children struct {
	mu   sync.Mutex
	pids map[int]bool
}

// Start starts a process by calling launch, which is (*exec.Cmd).Start or calls it.
// Nothing is reaped until the process is among the children.
func (s *Children) Start(cmd *exec.Cmd, launch func(*exec.Cmd) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := launch(cmd); err != nil {
		return err
	}
	if s.pids == nil {
		s.pids = map[int]bool{}
	}
	s.pids[cmd.Process.Pid] = true
	return nil
}

// Wait waits for a process that Start has started.
func (s *Children) Wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pids, cmd.Process.Pid)
	return err
}

// ownZombie is how long Orphans waits if the next zombie is among the children, so that
// its Wait is about to reap it.
const ownZombie = 20 * time.Millisecond

// Orphans reaps all child processes that Start has not started, until stop is closed.
func (s *Children) Orphans(stop <-chan struct{}) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	defer signal.Stop(signals)
	for {
		for pid := deadChild(); pid != 0; pid = deadChild() {
			if !s.reap(pid) {
				time.Sleep(ownZombie)
			}
		}
		select {
		case <-signals:
		case <-stop:
			return
		}
	}
}

// reap reaps a zombie. It returns false if that is for Wait to reap.
func (s *Children) reap(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pids[pid] {
		return false
	}
	_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // it has ended, so this can't fail
	return true
}

// deadChild returns the process id of a zombie, without reaping it, or 0.
func deadChild() int {
	// The kernel's siginfo_t. The child's process id follows three ints and their
	// padding, since the union after them contains pointers.
	var info struct {
		signo, errno, code int32
		fields             [29]uintptr
	}
	const options = unix.WEXITED | unix.WNOHANG | unix.WNOWAIT
	if err := waitid(unix.P_ALL, 0, unsafe.Pointer(&info), options); err != nil || info.signo == 0 {
		return 0
	}
	return int(*(*int32)(unsafe.Pointer(&info.fields[0])))
}

func waitid(idType, id int, info unsafe.Pointer, options int) error {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, uintptr(idType), uintptr(id), uintptr(info), uintptr(options), 0, 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
