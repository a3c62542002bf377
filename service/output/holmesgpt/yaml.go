package holmesgpt

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quote returns s as a double-quoted YAML scalar, the only form that is always a string.
// Characters that are not plainly visible are escaped, since HolmesGPT's reader refuses a
// file with a control character, and takes some other characters for line breaks.
func quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for _, r := range s { // what is not UTF-8 becomes U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
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

// prose makes a text from others fit for a description. HolmesGPT replaces {{ env.NAME }}
// in it by the value of a variable, which may be a secret. So no two braces may be
// adjacent, nor other marks of Jinja.
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
