package kind

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"sigs.k8s.io/kind/pkg/log"
)

// logger writes what kind tells its users, in lines of ASCII. It leaves out the begin
// of a step, and writes its end.
type logger struct{ to io.Writer }

var _ log.Logger = logger{}

func (l logger) say(text string) {
	text = strings.TrimSpace(text)
	begun := strings.HasPrefix(text, "•")
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return -1
		}
		return r
	}, text))
	// The verifier says itself what it removes.
	if text != "" && !begun && !strings.HasPrefix(text, "Deleted nodes") {
		_, _ = fmt.Fprintln(l.to, "kind:", text) // nobody could be told
	}
}

func (l logger) Warn(text string)               { l.say(text) }
func (l logger) Warnf(format string, a ...any)  { l.say(fmt.Sprintf(format, a...)) }
func (l logger) Error(text string)              { l.say(text) }
func (l logger) Errorf(format string, a ...any) { l.say(fmt.Sprintf(format, a...)) }

func (l logger) V(level log.Level) log.InfoLogger { return info{l, level == 0} }

type info struct {
	logger
	enabled bool
}

func (i info) Info(text string) {
	if i.enabled {
		i.say(text)
	}
}

func (i info) Infof(format string, a ...any) { i.Info(fmt.Sprintf(format, a...)) }
func (i info) Enabled() bool                 { return i.enabled }
