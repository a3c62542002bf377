package sim

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// A meter reports the progress of the go command, by the names of packages that this
// writes with -v when it compiles them. It writes none for packages in Go's build
// cache.
type meter struct {
	out      io.Writer
	terminal bool
	begun    time.Time
	total    int
	done     int
	told     int // the last tenth that was reported
	rest     []byte
}

func newMeter(out io.Writer, total int, begun time.Time) *meter {
	m := &meter{out: out, total: max(total, 1), begun: begun}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		m.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return m
}

// Write takes the output of the go command.
func (m *meter) Write(p []byte) (int, error) {
	m.rest = append(m.rest, p...)
	for {
		line, rest, whole := bytes.Cut(m.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		m.rest = rest
		// Output of the compiler and about downloads has spaces.
		if len(line) > 0 && !bytes.ContainsRune(line, ' ') && m.done < m.total {
			m.done++
			m.tell()
		}
	}
}

// tell writes the progress. It does not matter if that fails.
func (m *meter) tell() {
	text := fmt.Sprintf("sim: compiled %d of %d packages after %s", m.done, m.total, time.Since(m.begun).Round(time.Second))
	switch tenths := 10 * m.done / m.total; {
	case m.terminal:
		_, _ = fmt.Fprintf(m.out, "\r\x1b[K%s", text)
	case tenths > m.told:
		m.told = tenths
		_, _ = fmt.Fprintln(m.out, text)
	}
}

// end ends the line of the progress.
func (m *meter) end() {
	if m.terminal && m.done > 0 {
		_, _ = fmt.Fprintln(m.out)
	}
}
