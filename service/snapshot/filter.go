package snapshot

import (
	"bytes"
	"encoding/base64"
	"iter"
	"sort"

	"kubernaut.io/dynamic-toolset/service"
)

// A Tri is a boolean of a query that may be absent.
type Tri int8

// The values of a Tri.
const (
	Any Tri = iota
	Yes
	No
)

func (t Tri) admits(b bool) bool { return t == Any || (t == Yes) == b }

// A Filter chooses members of a Collection. The zero Filter chooses all. Type and Namespace
// are compared byte for byte; empty means any.
type Filter struct {
	Enabled, Healthy, Verified Tri
	Type, Namespace            []byte
	// Limit is the maximal number of members in one answer; 0 means no limit. An answer
	// that leaves members out has a token for the next one.
	Limit int
	// After is the position at which an earlier answer ended; zero for the beginning.
	After Position
}

// All reports whether f chooses all members, in one answer.
func (f *Filter) All() bool {
	return f.Enabled == Any && f.Healthy == Any && f.Verified == Any && len(f.Type) == 0 && len(f.Namespace) == 0 && f.Limit == 0 && f.After.IsZero()
}

// within returns the chunks of l in which f may choose members: a namespace has few of the
// thousands that a large list has.
func (f *Filter) within(l *list) []*chunk {
	chunks := l.chunks
	if len(f.Namespace) == 0 {
		return chunks
	}
	from := sort.Search(len(chunks), func(i int) bool { return chunks[i].last().Namespace >= string(f.Namespace) })
	chunks = chunks[from:]
	return chunks[:sort.Search(len(chunks), func(i int) bool { return chunks[i].first().Namespace > string(f.Namespace) })]
}

// A verdict says how many members of a chunk a filter chooses.
type verdict int8

const (
	admitsNone verdict = iota
	admitsSome
	admitsAll
)

// span returns the members of c, a chunk within f's namespace, that are in that namespace: they
// are parts[from:to], as the members are in its order.
func (f *Filter) span(c *chunk) (from, to int) {
	to = len(c.parts)
	if len(f.Namespace) == 0 || c.oneSpace {
		return 0, to
	}
	from = sort.Search(to, func(i int) bool { return c.parts[i].key.Namespace >= string(f.Namespace) })
	return from, from + sort.Search(to-from, func(i int) bool { return c.parts[from+i].key.Namespace > string(f.Namespace) })
}

// judge returns how many members of c f chooses, regardless of Namespace, Limit and After.
func (f *Filter) judge(c *chunk) verdict {
	v := admitsAll
	if len(f.Type) > 0 {
		switch {
		case c.kinds&kindBit(f.Type) == 0:
			return admitsNone
		case !c.oneKind:
			v = admitsSome
		case c.facets[0].kind != string(f.Type): // another type with the same bit
			return admitsNone
		}
	}
	if f.Enabled != Any || f.Healthy != Any || f.Verified != Any {
		n := 0
		for _, enabled := range []bool{false, true} {
			for _, healthy := range []bool{false, true} {
				for _, verified := range []bool{false, true} {
					if f.Enabled.admits(enabled) && f.Healthy.admits(healthy) && f.Verified.admits(verified) {
						n += c.states[index01(enabled)][index01(healthy)][index01(verified)]
					}
				}
			}
		}
		switch n {
		case 0:
			return admitsNone
		case len(c.parts):
		default:
			v = admitsSome
		}
	}
	return v
}

// admits reports whether f chooses the i-th member of c, regardless of Namespace, Limit and
// After.
func (f *Filter) admits(c *chunk, i int) bool {
	m := &c.facets[i]
	return (len(f.Type) == 0 || m.kind == string(f.Type)) && f.Enabled.admits(m.enabled) && f.Healthy.admits(m.healthy) && f.Verified.admits(m.verified)
}

// chosen yields the members of l that f chooses, regardless of Limit.
func (f *Filter) chosen(l *list) iter.Seq[*part] {
	return func(yield func(*part) bool) {
		for _, c := range f.within(l) {
			if f.judge(c) == admitsNone || !f.After.before(c.last()) {
				continue
			}
			from, to := f.span(c)
			for i := from; i < to; i++ {
				if f.admits(c, i) && f.After.before(c.parts[i].key) && !yield(c.parts[i]) {
					return
				}
			}
		}
	}
}

// maxToken is the maximal length of a token in bytes. A namespace has up to 63 characters.
// A name has up to 253 and, if it had to be made unique, as many again for the name of the
// Service, and a number.
const maxToken = 640

// tokenVersion begins every token, so that a later version can recognise its own.
const tokenVersion = 'a'

// A Position is a place in a Collection: after a namespace and name, whether or not there
// is still such a member. Its text form is opaque, like Kubernetes' continue tokens.
type Position struct {
	// The zero Position is the beginning. It holds an array, so that parsing does not
	// allocate.
	text  [maxToken * 3 / 4]byte // version, namespace, '/', name
	slash int
	size  int
}

// IsZero reports whether p is the beginning.
func (p *Position) IsZero() bool { return p.size == 0 }

// Parse sets p to the position of a token, and reports whether the token is valid. If not,
// p is zero.
func (p *Position) Parse(token []byte) bool {
	p.size = 0
	// The decoder would ignore line breaks.
	if len(token) == 0 || len(token) > maxToken || bytes.IndexByte(token, '\n') >= 0 || bytes.IndexByte(token, '\r') >= 0 {
		return false
	}
	n, err := tokenEncoding.Decode(p.text[:], token)
	if err != nil || p.text[0] != tokenVersion {
		return false
	}
	p.slash = bytes.IndexByte(p.text[:n], '/')
	if p.slash < 2 || p.slash == n-1 {
		return false
	}
	p.size = n
	return true
}

var tokenEncoding = base64.RawURLEncoding.Strict()

// appendPosition appends the token of the position after k.
func appendPosition(dst []byte, k service.Key) []byte {
	var text [maxToken * 3 / 4]byte
	b := append(text[:0], tokenVersion)
	b = append(b, k.Namespace...)
	b = append(b, '/')
	b = append(b, k.Name...)
	return tokenEncoding.AppendEncode(dst, b)
}

// before reports whether p is before the member at k.
func (p *Position) before(k service.Key) bool {
	if p.size == 0 {
		return true
	}
	namespace, name := p.text[1:p.slash], p.text[p.slash+1:p.size]
	if string(namespace) != k.Namespace {
		return string(namespace) < k.Namespace
	}
	return string(name) < k.Name
}
