package detect

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoted returns s as part of a message: bounded, and with everything escaped
// that could confuse a terminal or a log.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}

// hasControl reports whether s is more than one line of plain text. Some
// characters that are none (U+FFFE, U+FFFF) may not stand in YAML at all, so one
// of them would make a whole document unreadable, or unwritable.
func hasControl(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' || unicode.In(c, unicode.Bidi_Control, unicode.Noncharacter_Code_Point)
	})
}

func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
