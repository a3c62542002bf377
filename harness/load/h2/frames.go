package h2

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
)

// readFrame reads a frame and does what it says. An error ends the connection.
func (c *Conn) readFrame() error {
	frame, err := c.framer.ReadFrame()
	var ofStream http2.StreamError
	if errors.As(err, &ofStream) {
		c.finish(ofStream.StreamID, &LostError{Err: fmt.Errorf("malformed frame: %w", err), Malformed: true})
		c.reply(func() error { return c.framer.WriteRSTStream(ofStream.StreamID, ofStream.Code) })
		return nil
	}
	if err != nil {
		return err
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if f.IsAck() {
			return nil
		}
		c.reply(func() error { return c.framer.WritePing(true, f.Data) })
	case *http2.GoAwayFrame:
		c.leave(f)
	case *http2.WindowUpdateFrame:
		c.mu.Lock()
		defer c.mu.Unlock()
		if f.StreamID == 0 {
			c.sendWindow += int64(f.Increment)
		} else if s := c.streams[f.StreamID]; s != nil {
			s.sendWindow += int64(f.Increment)
		}
		c.changed.Broadcast()
	case *http2.RSTStreamFrame:
		switch {
		case f.ErrCode == http2.ErrCodeRefusedStream:
			c.finish(f.StreamID, fmt.Errorf("%w: RST_STREAM REFUSED_STREAM", ErrUnprocessed))
		default:
			c.finish(f.StreamID, &ResetError{f.ErrCode})
		}
	case *http2.MetaHeadersFrame:
		if s := c.stream(f.StreamID); s != nil {
			return s.header(f)
		}
	case *http2.DataFrame:
		c.data(f)
	case *http2.PushPromiseFrame:
		return errors.New("the server pushes, though it was told not to")
	}
	return nil
}

func (c *Conn) stream(id uint32) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id]
}

// finish ends a stream by an error.
func (c *Conn) finish(id uint32, err error) {
	if s := c.stream(id); s != nil {
		s.end(err)
		c.forget(s)
	}
}

func (c *Conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	c.mu.Lock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			c.maxStreams = s.Val
		case http2.SettingMaxFrameSize:
			c.maxFrame = int(s.Val)
		case http2.SettingInitialWindowSize:
			for _, open := range c.streams {
				open.sendWindow += int64(s.Val) - c.initial
			}
			c.initial = int64(s.Val)
		}
		return nil
	})
	c.changed.Broadcast()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.reply(c.framer.WriteSettingsAck)
	return nil
}

// leave takes a GOAWAY: streams above its last are not processed (RFC 9113, section 6.8).
func (c *Conn) leave(f *http2.GoAwayFrame) {
	debug := string(f.DebugData())
	goAway := &GoAway{f.LastStreamID, f.ErrCode, strings.Clone(debug[:min(len(debug), 100)])}
	c.mu.Lock()
	c.goAway = goAway
	var above []*stream
	for id, s := range c.streams {
		if id > goAway.Last {
			above = append(above, s)
		}
	}
	idle := len(c.streams) == 0
	c.changed.Broadcast()
	c.mu.Unlock()
	for _, s := range above {
		s.end(fmt.Errorf("%w: %v", ErrUnprocessed, goAway))
		c.forget(s)
	}
	if idle {
		_ = c.conn.Close() // the reader ends, and with it all else
	}
}

// data takes a part of a response's body.
func (c *Conn) data(f *http2.DataFrame) {
	length := f.Length // with padding, which counts, too
	s := c.stream(f.StreamID)
	if s != nil {
		s.take(f.Data(), f.StreamEnded())
	}
	// The connection's window is opened at once. That of the stream bounds what is
	// buffered, and is opened as the body is read.
	padding := length - uint32(len(f.Data())) // #nosec G115 -- a frame has at most 16 MB
	c.reply(func() error {
		if length > 0 {
			if err := c.framer.WriteWindowUpdate(0, length); err != nil {
				return err
			}
		}
		if s != nil && padding > 0 && !f.StreamEnded() {
			return c.framer.WriteWindowUpdate(f.StreamID, padding)
		}
		return nil
	})
}
