package cri

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// logPiece is the largest piece of a line that is one entry of the log, in bytes;
// as containerd's default.
const logPiece = 16 << 10

// containerLog is the file that kubelet reads, one entry a line:
//
//	2026-01-02T03:04:05.000000006Z stdout F a whole line
//
// with P in place of F for a piece of a line that goes on in the next entry, or
// never got an end. The format is kubelet's ("CRI logging").
type containerLog struct {
	path    string // empty: what the container writes is dropped
	journal *journal

	mu      sync.Mutex
	file    *os.File // nil before the start and after the end
	failing bool     // the last write failed, and the journal says so
}

// open starts the log; a second start of the container goes on behind the first.
func (l *containerLog) open() error {
	if l.path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return err
	}
	f, err := openLogFile(l.path)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.file = f
	l.mu.Unlock()
	return nil
}

func openLogFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
}

// reopen goes on in a new file of the same path.
func (l *containerLog) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return status.Error(codes.FailedPrecondition, "the container does not run: its log is closed")
	}
	f, err := openLogFile(l.path)
	if err != nil {
		return err
	}
	_ = l.file.Close() // every entry was written, or its failure reported
	l.file = f
	return nil
}

func (l *containerLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// copy writes what the container wrote to one of its streams until that ends. A
// log that cannot be written must not stop the container: entries are lost then.
func (l *containerLog) copy(stream string, from io.Reader) {
	in := bufio.NewReaderSize(from, logPiece)
	entry := make([]byte, 0, logPiece+64)
	for {
		piece, err := in.ReadSlice('\n')
		if len(piece) > 0 {
			entry = appendEntry(entry[:0], time.Now(), stream, piece)
			l.write(entry)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return // the end; EIO for a terminal
		}
	}
}

// appendEntry adds one entry; the piece ends with a newline if its line does.
func appendEntry(b []byte, at time.Time, stream string, piece []byte) []byte {
	b = at.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, ' ')
	b = append(b, stream...)
	if piece[len(piece)-1] != '\n' {
		b = append(b, " P "...)
		b = append(b, piece...)
		return append(b, '\n')
	}
	b = append(b, " F "...)
	return append(b, piece...)
}

func (l *containerLog) write(entry []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	_, err := l.file.Write(entry)
	if err != nil && !l.failing {
		l.journal.line("the log %s loses lines: %v", l.path, err)
	}
	l.failing = err != nil
}
