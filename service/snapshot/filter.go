package snapshot

import (
	"bytes"
	"encoding/base64"

	"kubernaut.io/dynamic-toolset/service"
)

// A Tri is a boolean that may be left out of a query.
type Tri int8

// The values of a Tri.
const (
	Any Tri = iota
	Yes
	No
)

func (t Tri) admits(b bool) bool { return t == Any || (t == Yes) == b }

// A Filter chooses members of a Collection; the zero Filter chooses all. Type
// and Namespace are compared byte for byte; empty means any.
type Filter struct {
	Enabled, Healthy Tri
	Type, Namespace  []byte
	// Limit is how many members one answer has at most; 0 means any number. An
	// answer that leaves some out says where the next one continues.
	Limit int
	// After is where an earlier answer ended; zero for the beginning.
	After Position
}

// All reports whether f chooses everything, in one answer.
func (f *Filter) All() bool {
	return f.Enabled == Any && f.Healthy == Any && len(f.Type) == 0 && len(f.Namespace) == 0 && f.Limit == 0 && f.After.IsZero()
}

// A verdict is what a filter says of a whole chunk.
type verdict int8

const (
	admitsNone verdict = iota
	admitsSome
	admitsAll
)

// judge says whether f chooses members of c, apart from Limit and After.
func (f *Filter) judge(c *chunk) verdict {
	v := admitsAll
	if len(f.Namespace) > 0 {
		switch {
		case string(f.Namespace) < c.first().Namespace || string(f.Namespace) > c.last().Namespace:
			return admitsNone
		case !c.oneSpace:
			v = admitsSome
		}
	}
	if len(f.Type) > 0 {
		switch {
		case c.kinds&kindBit(f.Type) == 0:
			return admitsNone
		case !c.oneKind:
			v = admitsSome
		case c.facets[0].kind != string(f.Type): // of the same bit
			return admitsNone
		}
	}
	if f.Enabled != Any || f.Healthy != Any {
		n := 0
		for _, enabled := range []bool{false, true} {
			for _, healthy := range []bool{false, true} {
				if f.Enabled.admits(enabled) && f.Healthy.admits(healthy) {
					n += c.states[index01(enabled)][index01(healthy)]
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

// admits says whether f chooses the i-th member of c, apart from Limit and After.
func (f *Filter) admits(c *chunk, i int) bool {
	m := &c.facets[i]
	return (len(f.Type) == 0 || m.kind == string(f.Type)) && f.Enabled.admits(m.enabled) && f.Healthy.admits(m.healthy) &&
		(len(f.Namespace) == 0 || c.parts[i].key.Namespace == string(f.Namespace))
}

// maxToken is how long a token is at most, in bytes. Namespaces have up to 63
// characters; names up to 253, or when they had to be made unique, a Service's
// name and a number more.
const maxToken = 640

// tokenVersion begins every token, so that a later version can tell its own.
const tokenVersion = 'a'

// A Position is a place in a Collection: behind a namespace and name, whether or
// not there is still a member of that name. As Kubernetes' continue tokens do,
// its text form looks like nothing in particular, as nobody should make one up.
type Position struct {
	// The zero Position is the beginning. There are no slices of text in it: it
	// can be parsed into without an allocation.
	text  [maxToken * 3 / 4]byte // version, namespace, '/', name
	slash int
	size  int
}

// IsZero reports whether p is the beginning.
func (p *Position) IsZero() bool { return p.size == 0 }

// Parse makes p the place that an answer gave this token for, and reports whether
// it could: else p is zero.
func (p *Position) Parse(token []byte) bool {
	p.size = 0
	// The decoder skips line breaks.
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

// appendPosition appends the token of the place behind k.
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
