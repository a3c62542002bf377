package endpoint

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsLabel reports whether s is a DNS label (RFC 1123), as names of Services, namespaces and
// types must be.
func IsLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLowerAlnum(c) && c != '-' {
			return false
		}
	}
	return true
}

// IsSubdomain reports whether s is a DNS subdomain (RFC 1123) of at most 253
// characters.
func IsSubdomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !IsLabel(label) {
			return false
		}
	}
	return true
}

// IsLine reports whether s is at most one line of plain text. That excludes the characters
// that YAML does not allow (U+FFFE, U+FFFF), since one of them makes a whole document
// unreadable.
func IsLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return unicode.IsControl(c) || unicode.In(c, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point)
	})
}

func isLowerAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func isAlnum(c byte) bool { return isLowerAlnum(c) || c >= 'A' && c <= 'Z' }
