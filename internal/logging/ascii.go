package logging

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// asciiEncoder escapes whatever is not printable ASCII in the way of JSON, wherever it
// comes from: annotations, error texts of other programs, names. Characters that change
// the direction of text or move a cursor can make a line of a log look like another one.
// The meaning of a JSON line stays the same.
type asciiEncoder struct{ zapcore.Encoder }

func (e asciiEncoder) Clone() zapcore.Encoder { return asciiEncoder{e.Encoder.Clone()} }

func (e asciiEncoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	b, err := e.Encoder.EncodeEntry(entry, fields)
	if err != nil || isASCII(b.Bytes()) {
		return b, err
	}
	line := escapeToASCII(b.Bytes())
	b.Reset()
	_, err = b.Write(line)
	return b, err
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x7f {
			return false
		}
	}
	return true
}

// escapeToASCII escapes DEL and everything that is not ASCII. zap has escaped the other
// control characters.
func escapeToASCII(b []byte) []byte {
	out := make([]byte, 0, len(b)+len(b)/4)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r < 0x7f:
			out = append(out, b[0])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = appendEscape(appendEscape(out, high), low)
		default:
			out = appendEscape(out, r)
		}
		b = b[n:]
	}
	return out
}

func appendEscape(b []byte, r rune) []byte {
	hex := strconv.FormatInt(int64(r)|1<<16, 16) // four digits behind a 1
	return append(append(b, `\u`...), hex[1:]...)
}
