package manifests

import (
	"context"
	"fmt"
	"io"
)

// stdinName is what problems call standard input.
const stdinName = "standard input"

// runStream reads the stream to its end, and keeps what was in it until ctx ends: there is
// nothing to follow.
func (m *Source) runStream(ctx context.Context) error {
	m.stopping = func() bool { return ctx.Err() != nil }
	type read struct {
		data []byte
		err  error
	}
	ended := make(chan read, 1)
	go func() { // it can't be interrupted
		data, err := io.ReadAll(io.LimitReader(m.stream, m.opts.MaxFileSize+1))
		ended <- read{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil
	case r := <-ended:
		if r.err != nil {
			return fmt.Errorf("--manifests: standard input cannot be read: %w", reason(r.err))
		}
		f := &file{}
		m.files[stdinName] = f
		if int64(len(r.data)) > m.opts.MaxFileSize {
			f.refuse(stdinName, fmt.Sprintf("is larger than %d bytes; write it to several files in a folder, and give that", m.opts.MaxFileSize), "")
		} else {
			m.understand(f, stdinName, r.data)
		}
	}
	if m.stopping() {
		return nil
	}
	m.setReachable(nil)
	m.apply(true)
	for {
		select {
		case <-ctx.Done():
			return nil
		case done := <-m.relists:
			m.apply(true)
			done <- nil
		}
	}
}
