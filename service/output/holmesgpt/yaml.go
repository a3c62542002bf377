package holmesgpt

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quote writes s as a double-quoted YAML scalar, the one form in which no text
// means anything else. Whatever is not plainly visible is escaped: HolmesGPT's
// reader refuses a whole file for one control character, and takes some others
// for line breaks.
func quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for _, r := range s { // what is not UTF-8 becomes U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == ' ' || r != utf8.RuneError && unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xFFFF:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// prose makes a text that somebody else wrote fit for a description. HolmesGPT
// replaces {{ env.NAME }} in it by the value of a variable, perhaps a secret, so
// no two braces may stand together; nor may other marks of Jinja.
func prose(s string) string {
	var b strings.Builder
	var last rune
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			r = ' '
		}
		if last == '{' && strings.ContainsRune("{%#", r) || r == '}' && strings.ContainsRune("}%#", last) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		last = r
	}
	return strings.TrimSpace(b.String())
}
