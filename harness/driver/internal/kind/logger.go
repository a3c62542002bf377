package kind

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"sigs.k8s.io/kind/pkg/log"
)

// logger writes what kind tells its users, a line each: its steps when they are
// done, without their pictures.
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
	// Who uses the driver says what it removes.
	if text != "" && !begun && !strings.HasPrefix(text, "Deleted nodes") {
		_, _ = fmt.Fprintln(l.to, "kind:", text) // nobody listens: nothing to be done
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
