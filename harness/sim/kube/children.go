package main

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

// children are the processes started by this one, as opposed to those that it
// inherits as process 1 of a namespace, when their own parent ends: nobody waits
// for these, so that reapOrphans must, and it must leave the others' exit status
// to whoever started them.
var children childSet

type childSet struct {
	mu   sync.Mutex
	pids map[int]bool
}

// start starts a process by launch. Between its birth and its entry in the set
// nothing is reaped.
func (s *childSet) start(cmd *exec.Cmd, launch func(*exec.Cmd) error) error {
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

func (s *childSet) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pids, cmd.Process.Pid)
	return err
}

// ownZombie is how long reapOrphans waits when the next dead process is one of the
// children, which whoever started it is about to reap.
const ownZombie = 20 * time.Millisecond

// reapOrphans reaps inherited processes for as long as this process lives.
func reapOrphans() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	for {
		for {
			pid := deadChild()
			if pid == 0 {
				break
			}
			children.mu.Lock()
			own := children.pids[pid]
			if !own {
				_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
			children.mu.Unlock()
			if own {
				time.Sleep(ownZombie)
			}
		}
		<-signals
	}
}

// deadChild returns the number of a child that has ended, without reaping it, or 0.
func deadChild() int {
	// The kernel's siginfo_t; the child's number comes after three ints and, as
	// the union behind them holds pointers, their padding.
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
