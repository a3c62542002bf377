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

// isOwnFault says whether a failed dial is to blame on this machine: too many
// open files, no port left, no memory. Nothing follows from it for the server.
func isOwnFault(err error) bool {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// dialOutcome says how a request was lost that got no connection.
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

// lostOutcome says how a request was lost whose response could not be read to
// its end. parse is the parser's error, wire the connection's own, if it had one,
// begun whether a byte of the response had arrived.
func lostOutcome(parse, wire error, begun bool) record.Outcome {
	switch {
	case wire == nil, errors.Is(wire, errTooLarge):
		return record.Malformed // the connection did its part
	case isTimeout(wire):
		return record.ResponseTimeout
	case errors.Is(wire, io.EOF) && !begun:
		return record.EOFBefore
	case errors.Is(wire, io.EOF):
		return record.EOFMid
	case !begun: // a reset, or what comes to the same: the network is gone
		return record.ResetBefore
	default:
		return record.ResetMid
	}
}

// isOurs says whether the connection ended because we closed it.
func isOurs(err error) bool { return errors.Is(err, net.ErrClosed) }
