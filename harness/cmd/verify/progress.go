package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"kubernaut.io/dynamic-toolset/harness/verify"
)

// progress shows the progress: a line for each step, and on a terminal a last line
// about the traffic that changes.
type progress struct {
	w        io.Writer
	terminal bool
	began    time.Time

	mu       sync.Mutex
	shown    string // the changing line that is displayed
	lastLive time.Time
}

// plainInterval is how often the state is printed if the output is not a terminal.
const plainInterval = 10 * time.Second

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, began: time.Now()}
	if f, ok := w.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd())) // #nosec G115 -- a file descriptor
	}
	return p
}

// say prints a step.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.line(fmt.Sprintf(format, args...))
}

// Write prints the output of the compiler or of kind.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	for line := range bytes.Lines(b) {
		p.line(string(bytes.TrimSpace(line)))
	}
	return len(b), nil
}

func (p *progress) line(text string) {
	_, _ = fmt.Fprintf(p.w, "%6.1fs  %s\n", time.Since(p.began).Seconds(), text)
}

// live shows the state of the traffic.
func (p *progress) live(l verify.Live) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf("%s: %d requests, %d lost; pods: %s", l.Phase, l.Sent, l.Lost, l.Pods)
	if !p.terminal {
		if time.Since(p.lastLive) >= plainInterval {
			p.lastLive = time.Now()
			p.line(text)
		}
		return
	}
	p.clear()
	p.shown = fmt.Sprintf("%6.1fs  %s", time.Since(p.began).Seconds(), text)
	_, _ = io.WriteString(p.w, p.shown)
}

// clear clears the changing line. p.mu must be held.
func (p *progress) clear() {
	if p.shown != "" {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
		p.shown = ""
	}
}

// end clears the changing line for good.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}
