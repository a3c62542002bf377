package cri

import (
	"os"
	"sync"
	"time"
)

// drainTimeout bounds the wait for the rest of the output after all processes of a
// container have ended. It is already in the pipe.
const drainTimeout = 5 * time.Second

// stdio has the standard streams of a container: empty input and a pipe for each
// output, or a terminal for all three.
type stdio struct {
	stdin, stdout, stderr *os.File // the child's ends
	out, errs             *os.File // this process's ends; with a terminal errs is nil
	pumps                 sync.WaitGroup
}

func newStdio(tty bool) (*stdio, error) {
	s := &stdio{}
	var err error
	if tty {
		if s.out, s.stdin, err = newTerminal(); err != nil {
			return nil, err
		}
		s.stdout, s.stderr = s.stdin, s.stdin
		return s, nil
	}
	if s.stdin, err = os.Open(os.DevNull); err != nil {
		return nil, err
	}
	if s.out, s.stdout, err = os.Pipe(); err == nil {
		s.errs, s.stderr, err = os.Pipe()
	}
	if err != nil {
		s.closeChildEnds()
		s.closeOwnEnds()
		return nil, err
	}
	return s, nil
}

// closeChildEnds closes the ends that the child has inherited, so that reading the
// output ends with the child.
func (s *stdio) closeChildEnds() {
	for _, f := range []*os.File{s.stdin, s.stdout, s.stderr} {
		if f != nil {
			_ = f.Close() // not written to here; with a terminal all three are one file
		}
	}
}

func (s *stdio) closeOwnEnds() {
	for _, f := range []*os.File{s.out, s.errs} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// pump copies the output to the log until it ends.
func (s *stdio) pump(log *containerLog) {
	s.pumps.Go(func() { log.copy("stdout", s.out) })
	if s.errs != nil {
		s.pumps.Go(func() { log.copy("stderr", s.errs) })
	}
}

// drain waits for the end of the output. It gives up after drainTimeout, since a
// process outside the container may have been passed the other end through a socket.
func (s *stdio) drain() {
	timer := time.AfterFunc(drainTimeout, s.closeOwnEnds)
	s.pumps.Wait()
	timer.Stop()
	s.closeOwnEnds()
}
