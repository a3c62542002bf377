package sim

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"
)

// A meter tells how far the go command is, by the names of packages that it writes
// with -v as it compiles them. Those that Go's build cache has are not among them.
type meter struct {
	out      io.Writer
	terminal bool
	begun    time.Time
	total    int
	done     int
	told     int // tenths
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

// Write takes what the go command says.
func (m *meter) Write(p []byte) (int, error) {
	m.rest = append(m.rest, p...)
	for {
		line, rest, whole := bytes.Cut(m.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		m.rest = rest
		// The compiler's reports, and what is downloaded, have spaces.
		if len(line) > 0 && !bytes.ContainsRune(line, ' ') && m.done < m.total {
			m.done++
			m.tell()
		}
	}
}

// tell writes how far it is; that nobody can read it is no failure.
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

// end leaves the line in which it was told.
func (m *meter) end() {
	if m.terminal && m.done > 0 {
		_, _ = fmt.Fprintln(m.out)
	}
}
