package detect

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoted returns s for a message: shortened, and with everything escaped that could confuse
// a terminal or a log.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}

// hasControl reports whether s is anything but one line of plain text. It also covers the
// characters that YAML does not allow (U+FFFE, U+FFFF), since one of them makes a whole
// document unreadable.
func hasControl(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' || unicode.In(c, unicode.Bidi_Control, unicode.Noncharacter_Code_Point)
	})
}

func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
