package identity

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// versionPattern is what a version may look like. Everything else that a back end calls its
// version is ignored, so that its words never reach an agent.
var versionPattern = regexp.MustCompile(`^[vV]?[0-9][0-9A-Za-z.+~_-]{0,63}$`)

// A match is what an answer has proved.
type match struct {
	product, version string
}

// match reports whether a is the answer that k expects, and what it says.
func (k *Ask) match(a *Answer) (m match, ok bool) {
	if !k.expects(a.Status) || !k.hasHeader(a) {
		return m, false
	}
	for _, t := range k.Text {
		if !bytes.Contains(a.Body, []byte(t)) {
			return m, false
		}
	}
	if len(k.JSON)+len(k.Without) > 0 || k.Version != "" {
		doc, isJSON := a.document()
		if !isJSON {
			return m, false
		}
		for at, pattern := range k.JSON {
			text, ok := member(doc, at)
			if !ok || !matches(pattern, text) {
				return m, false
			}
		}
		for _, at := range k.Without {
			if _, ok := member(doc, at); ok {
				return m, false
			}
		}
		if text, ok := member(doc, k.Version); ok && k.Version != "" {
			m.version = text
		}
	}
	if k.VersionIn != nil {
		if found := k.VersionIn.FindSubmatch(a.Body); len(found) > 1 {
			m.version = string(found[1])
		}
	}
	if k.VersionHeader != "" {
		m.version = a.value(k.VersionHeader)
	}
	if !versionPattern.MatchString(m.version) {
		m.version = ""
	}
	m.product = k.Product
	return m, true
}

func (k *Ask) expects(status int) bool {
	if len(k.Status) == 0 {
		return status == 200
	}
	return slices.Contains(k.Status, status)
}

func (k *Ask) hasHeader(a *Answer) bool {
	for name, pattern := range k.Header {
		if !slices.ContainsFunc(a.values(name), func(v string) bool { return matches(pattern, v) }) {
			return false
		}
	}
	return true
}

// document returns the body as JSON; ok is false if it is none. It is not kept, since it may
// take many times the memory of the body.
func (a *Answer) document() (doc any, ok bool) {
	if a.noJSON {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(a.Body))
	d.UseNumber()
	if d.Decode(&doc) != nil {
		a.noJSON = true
		return nil, false
	}
	return doc, true
}

// member returns the text of a member, such as "data.version". Numbers in the path are
// places in arrays. An array has the text "[]", an object "{}", and null none.
func member(doc any, at string) (text string, ok bool) {
	if at != "" {
		for name := range strings.SplitSeq(at, ".") {
			switch v := doc.(type) {
			case map[string]any:
				if doc, ok = v[name]; !ok {
					return "", false
				}
			case []any:
				i, err := strconv.Atoi(name)
				if err != nil || i < 0 || i >= len(v) {
					return "", false
				}
				doc = v[i]
			default:
				return "", false
			}
		}
	}
	switch v := doc.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	case []any:
		return "[]", true
	case map[string]any:
		return "{}", true
	}
	return "", false
}

// matches reports whether text matches pattern: alternatives are separated by "|", and in
// each, "*" is any text but not all of it empty, and "[0-9]" one character.
func matches(pattern, text string) bool {
	if pattern == "[]" || pattern == "{}" {
		return pattern == text
	}
	for p := range strings.SplitSeq(pattern, "|") {
		if p == "*" {
			if text != "" {
				return true
			}
			continue
		}
		// path.Match does not let "*" match a slash.
		if ok, err := path.Match(strings.ReplaceAll(p, "/", "\x00"), strings.ReplaceAll(text, "/", "\x00")); ok && err == nil {
			return true
		}
	}
	return false
}

// PatternProblem returns why pattern is none; empty if it is one.
func PatternProblem(pattern string) string {
	for p := range strings.SplitSeq(pattern, "|") {
		if _, err := path.Match(p, ""); err != nil && pattern != "[]" {
			return `must be a pattern: text with "*" for any text, "[0-9]" for one character, alternatives separated by "|"`
		}
	}
	return ""
}
