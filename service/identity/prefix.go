package identity

import (
	"bytes"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Bounds of the prefixes of one endpoint, besides those of the rules.
const (
	maxPrefixes  = 4 // with "", the root
	maxPrefixLen = 100
)

// follow adds the prefixes that the answer to a GET of path names, which was asked before or
// is asked now: by the path of a redirect, or of the <base> of a page.
//
// That path counts wherever it leads: a product that is told its public address names that
// one, as Grafana with serve_from_sub_path does (root_url). Only the path is taken; what is
// asked is always this endpoint. The exception is a page of another host to log in at, whose
// path is that host's.
func (s *session) follow(path string) {
	a := s.get("", path)
	u := s.base + path
	if to, here, ok := a.target(u); ok {
		if here || !a.isLogin() {
			path, _, _ = strings.Cut(path, "?")
			if prefix, ok := strings.CutSuffix(to.Path, path); ok && path != "/" {
				s.addPrefixes(prefix, false) // the same path below another one
			} else {
				s.addPrefixes(to.Path, true)
			}
		}
		return
	}
	if base, ok := a.pageBase(u); ok {
		s.addPrefixes(base, true)
	}
}

// addPrefixes adds path as a prefix, and with parents also those above it, since it may be
// the path of a page: /grafana/dashboards makes it /grafana and /grafana/dashboards. It ends
// before what is a page to log in at.
func (s *session) addPrefixes(path string, parents bool) {
	_, below, _ := strings.Cut(s.base, "://")
	if i := strings.IndexByte(below, '/'); i >= 0 { // what the endpoint has is no part of the prefix
		path = strings.TrimPrefix(path+"/", below[i:]+"/")
	}
	at := ""
	for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if isLoginSegment(strings.ToLower(part)) {
			break
		}
		if !isPathSegment(part) || len(at)+len(part) > maxPrefixLen {
			return
		}
		if at += "/" + part; parents {
			s.addPrefix(at)
		}
	}
	s.addPrefix(at)
}

func (s *session) addPrefix(p string) {
	if len(s.prefixes) < maxPrefixes && !slices.Contains(s.prefixes, p) {
		s.prefixes = append(s.prefixes, p)
	}
}

func isPathSegment(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~') {
			return false
		}
	}
	return s != "" && s != "." && s != ".."
}

// served yields the root and those prefixes below which something answers. A redirect often
// leads to a page, such as /classic/agent of a Prometheus agent, and not to a place below
// which the product is; asking there for each kind would be in vain.
func (s *session) served() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, prefix := range s.prefixes {
			if prefix != "" && !s.empty[prefix] && s.isEmpty(prefix) {
				s.empty[prefix] = true
			}
			if !s.empty[prefix] && !yield(prefix) {
				return
			}
		}
	}
}

// alike is how many requests with the same answer show that each path is answered so.
const alike = 3

// isEmpty reports whether nothing is below prefix: its root is not found, or redirects to
// itself or to the page without the slash, or each path is answered with one page, as the files of a user interface
// are served.
func (s *session) isEmpty(prefix string) bool {
	root := s.get(prefix, "/")
	if to, here, ok := root.target(s.base + prefix + "/"); ok {
		return here && strings.HasSuffix(strings.TrimSuffix(to.Path, "/"), prefix)
	}
	switch {
	case root.Status == 404, root.Status == 410:
		return true
	case root.Status != 200:
		return false
	}
	same := 0
	for u, a := range s.answers {
		if path, below := strings.CutPrefix(u, s.base+prefix+"/"); !below || path == "" {
			continue
		}
		if a.Status != root.Status || !bytes.Equal(a.Body, root.Body) {
			return false
		}
		same++
	}
	return same >= alike
}

// baseHref finds where the relative addresses of a page begin (HTML, 4.2.3 The base element).
var baseHref = regexp.MustCompile(`(?i)<base\s(?:[^>]*\s)?href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)

// pageBase returns the path of the folder that a page names as its base; ok is false if it
// names none.
func (a *Answer) pageBase(asked string) (path string, ok bool) {
	if !strings.Contains(a.value("Content-Type"), "html") {
		return "", false
	}
	found := baseHref.FindSubmatch(a.Body)
	if found == nil {
		return "", false
	}
	from, err := url.Parse(asked)
	if err != nil {
		return "", false
	}
	to, err := from.Parse(string(slices.Concat(found[1], found[2], found[3])))
	if err != nil {
		return "", false
	}
	return to.Path[:strings.LastIndexByte(to.Path, '/')+1], true
}
