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

// logPiece is the largest piece of a line in one entry of the log, in bytes;
// containerd's default.
const logPiece = 16 << 10

// containerLog is the file that the kubelet reads, with an entry per line:
//
//	2026-01-02T03:04:05.000000006Z stdout F a complete line
//
// It has P instead of F if the line is continued in the next entry, or has no end. The
// format is the kubelet's ("CRI logging").
type containerLog struct {
	path    string // empty: the output is dropped
	journal *journal

	mu      sync.Mutex
	file    *os.File // nil before the start and after the end
	failing bool     // the last write failed, which is in the journal
}

// open opens the log, and appends to what is there.
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

// reopen continues in a new file at the same path.
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
	_ = l.file.Close() // every entry was written, or its failure logged
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

// copy writes the output of one stream until that ends. If the log can't be written,
// entries are lost, but the container goes on.
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
			return // EOF, or EIO for a terminal
		}
	}
}

// appendEntry appends an entry to b. piece ends with a newline if its line does.
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
