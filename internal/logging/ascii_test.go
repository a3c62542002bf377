package logging

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Whatever is logged, the line is printable ASCII and keeps its meaning.
func TestLogIsPrintableASCII(t *testing.T) {
	enc := asciiEncoder{zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"})}
	for _, s := range append(slices.Clone(testenv.HostileTexts), "a\u202eb", "\u2066\u2028\u0085\x7f\x1b", "\U0001f600", "µs") {
		for _, with := range []bool{false, true} {
			var e zapcore.Encoder = enc
			fields := []zapcore.Field{zap.String("value", s)}
			if with {
				e, fields = enc.Clone(), nil
				e.AddString("value", s)
			}
			b, err := e.EncodeEntry(zapcore.Entry{Message: s}, fields)
			if err != nil {
				t.Fatal(err)
			}
			line := strings.TrimSuffix(b.String(), "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q is logged as %q", s, line)
			}
			var got struct{ Msg, Value string }
			want := strings.ToValidUTF8(s, "\ufffd")
			if err := json.Unmarshal([]byte(line), &got); err != nil || got.Msg != want || got.Value != want {
				t.Errorf("%q is logged as %s: %v", s, line, err)
			}
		}
	}
}
