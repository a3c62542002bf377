package load

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// isOwnFault reports whether a dial failed because of this host: too many open files,
// no free port, no memory. This says nothing about the server.
func isOwnFault(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// dialOutcome returns the outcome of a request whose dial failed.
func dialOutcome(err error) record.Outcome {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return record.Refused
	case isTimeout(err):
		return record.DialTimeout
	default:
		return record.DialFailed
	}
}

// lostOutcome returns the outcome of a request whose response could not be read
// completely. parse is the parser's error. wire is the connection's own error, if it
// had one. begun says whether a byte of the response had arrived.
func lostOutcome(parse, wire error, begun bool) record.Outcome {
	switch {
	case wire == nil, errors.Is(wire, errTooLarge):
		return record.Malformed // the connection did not fail
	case isTimeout(wire):
		return record.ResponseTimeout
	case isEnd(wire) && !begun:
		return record.EOFBefore
	case isEnd(wire):
		return record.EOFMid
	case !begun: // a reset, or the network is gone
		return record.ResetBefore
	default:
		return record.ResetMid
	}
}

// isEnd reports whether the peer closed the connection in good order; with TLS, also
// without saying so.
func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// isOurs reports whether the connection ended because this side closed it.
func isOurs(err error) bool { return errors.Is(err, net.ErrClosed) }
