package mcp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
)

// maxLine bounds a message on a line, in bytes: as much as the body of a request.
const maxLine = 1 << 20

// ServeLines answers messages on lines, each with a line (transports/stdio), until in ends.
// It returns an error if it can't read or write, or if a call of a tool returns one.
func (s *Server) ServeLines(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	c := &session{version: version20250326}
	for {
		line, tooLong, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 || tooLong {
			r := failed(400, nil, codeInvalidRequest, "Invalid request: the message is longer than 1 MiB")
			if !tooLong {
				r = s.answer(ctx, c, line)
			}
			if r.Err != nil {
				return r.Err
			}
			if r.Body != nil {
				if _, err := out.Write(append(r.Body, '\n')); err != nil {
					return err
				}
			}
		}
		if err != nil || ctx.Err() != nil {
			return nil
		}
	}
}

// readLine reads a line. Of one that is too long it reads all and returns nothing.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			tooLong, line = true, nil
		}
		if !tooLong {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, tooLong, err
		}
	}
}
