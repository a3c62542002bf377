package snapshot

import (
	"slices"
	"strconv"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot/internal/gzipjoin"
)

// A Collection is a list as an answer: whole, or with the members that a filter chooses,
// joined from their renderings. It renders nothing, and allocates nothing if the buffer is
// large enough.
type Collection struct {
	*Answer
	tail []byte // `,"lastDiscovery":...}`: what comes after the total
}

func newCollection(member string, l *list, tail []byte) *Collection {
	c := &Collection{tail: tail}
	c.Answer = newAnswer(l, []byte(`{"`+member+`":[`), c.appendEnd(nil, &selection{total: l.count}))
	return c
}

// Len returns the number of members.
func (c *Collection) Len() int { return c.list.count }

// Reach returns the number of members among which those that f chooses are looked for: all,
// or somewhat more than those of its namespace.
func (c *Collection) Reach(f *Filter) int {
	if len(f.Namespace) == 0 {
		return c.list.count
	}
	n := 0
	for _, k := range f.within(c.list) {
		n += len(k.parts)
	}
	return n
}

// A selection is the content of a filtered answer.
type selection struct {
	total int // members that the filter chooses, on all pages
	n     int // members in the answer
	more  bool
	last  service.Key // the last member in the answer
	// Bounds of the size of the members in bytes, plain and compressed.
	plain, packed int
}

// choose finds what f chooses from the list.
func (c *Collection) choose(f *Filter) (s selection) {
	for _, k := range f.within(c.list) {
		v := f.judge(k)
		from, to := f.span(k)
		whole := v == admitsAll && to-from == len(k.parts)
		switch {
		case v == admitsNone:
		case whole && !f.After.before(k.last()): // on an earlier page
			s.total += len(k.parts)
		case whole && f.full(s.n): // on a later page
			s.total += len(k.parts)
			s.more = true
		case whole && f.takes(k, s.n):
			s.total += len(k.parts)
			s.n += len(k.parts)
			s.plain += len(k.json)
			s.packed += len(gzipComma) + len(k.deflated)
			s.last = k.last()
		default:
			for i := from; i < to; i++ {
				if v != admitsAll && !f.admits(k, i) {
					continue
				}
				p := k.parts[i]
				s.total++
				switch {
				case !f.After.before(p.key):
				case f.full(s.n):
					s.more = true
				default:
					s.n++
					s.plain += len(p.json)
					s.packed += len(p.deflated)
					s.last = p.key
					if s.n == 1 { // the first member is stored, without its comma
						s.packed += gzipjoin.StoredHeaderSize*(1+len(p.json)/gzipjoin.MaxStored) + len(p.json)
					}
				}
			}
		}
	}
	return s
}

// full reports whether an answer with n members must not have more.
func (f *Filter) full(n int) bool { return f.Limit > 0 && n == f.Limit }

// takes reports whether an answer with n members takes all of k, a chunk that f admits.
func (f *Filter) takes(k *chunk, n int) bool {
	return f.After.before(k.first()) && (f.Limit == 0 || n+len(k.parts) <= f.Limit)
}

// appendEnd appends the end of the document, after the members.
func (c *Collection) appendEnd(dst []byte, s *selection) []byte {
	dst = append(dst, `],"total":`...)
	dst = strconv.AppendInt(dst, int64(s.total), 10)
	if s.more {
		dst = append(dst, `,"continue":"`...)
		dst = appendPosition(dst, s.last)
		dst = append(dst, '"')
	}
	return append(dst, c.tail...)
}

// endSize returns the maximal length of what appendEnd appends.
func (c *Collection) endSize() int {
	return len(`],"total":,"continue":""`) + 20 + maxToken + len(c.tail)
}

// AppendWithin appends what AppendJSON does, or AppendGzip with packed, if it needs no more
// than most bytes of memory; else it returns false.
func (c *Collection) AppendWithin(dst []byte, f *Filter, packed bool, most int) ([]byte, bool) {
	s := c.choose(f)
	if max(s.plain, s.packed)+len(c.head)+c.endSize() > most {
		return dst, false
	}
	if packed {
		return c.appendGzip(dst, f, &s), true
	}
	return c.appendJSON(dst, f, &s), true
}

// AppendJSON appends the JSON document with the members that f chooses.
func (c *Collection) AppendJSON(dst []byte, f *Filter) []byte {
	s := c.choose(f)
	return c.appendJSON(dst, f, &s)
}

func (c *Collection) appendJSON(dst []byte, f *Filter, s *selection) []byte {
	dst = slices.Grow(dst, len(c.head)+s.plain+c.endSize())
	dst = append(dst, c.head...)
	n := 0
	for _, k := range f.within(c.list) {
		if n == s.n {
			break
		}
		v := f.judge(k)
		if v == admitsNone || v == admitsAll && !f.After.before(k.last()) {
			continue
		}
		from, to := f.span(k)
		if v == admitsAll && to-from == len(k.parts) && f.takes(k, n) {
			dst = append(dst, k.json[index01(n == 0):]...)
			n += len(k.parts)
			continue
		}
		for i := from; i < to && n < s.n; i++ {
			if p := k.parts[i]; (v == admitsAll || f.admits(k, i)) && f.After.before(p.key) {
				dst = append(dst, p.json[index01(n == 0):]...)
				n++
			}
		}
	}
	return c.appendEnd(dst, s)
}

// AppendGzip appends the document of AppendJSON, compressed.
func (c *Collection) AppendGzip(dst []byte, f *Filter) []byte {
	s := c.choose(f)
	return c.appendGzip(dst, f, &s)
}

func (c *Collection) appendGzip(dst []byte, f *Filter, s *selection) []byte {
	dst = slices.Grow(dst, len(gzipjoin.Header)+gzipjoin.StoredHeaderSize+len(c.head)+s.packed+gzipjoin.StoredHeaderSize+c.endSize()+8)
	g := gzipjoin.Start(dst)
	g.Stored(c.head)
	n := 0
	for _, k := range f.within(c.list) {
		if n == s.n {
			break
		}
		v := f.judge(k)
		if v == admitsNone || v == admitsAll && !f.After.before(k.last()) {
			continue
		}
		from, to := f.span(k)
		if v == admitsAll && to-from == len(k.parts) && f.takes(k, n) {
			if n > 0 {
				g.Stored(k.json[:1])
			}
			g.Deflated(k.json[1:], k.deflated)
			n += len(k.parts)
			continue
		}
		for i := from; i < to && n < s.n; i++ {
			p := k.parts[i]
			if v != admitsAll && !f.admits(k, i) || !f.After.before(p.key) {
				continue
			}
			if n == 0 {
				g.Stored(p.json[1:])
			} else {
				g.Deflated(p.json, p.deflated)
			}
			n++
		}
	}
	return g.Finish(func(dst []byte) []byte { return c.appendEnd(dst, s) })
}

// AppendETag appends a strong entity tag for the document with the members that f chooses:
// that of the whole list, which covers every member, with a suffix for the filter.
func (c *Collection) AppendETag(dst []byte, f *Filter) []byte {
	if f.All() {
		return append(dst, c.etag...)
	}
	dst = append(dst, c.etag[:len(c.etag)-1]...)
	dst = append(dst, '-', 'e', '0'+byte(f.Enabled), 'h', '0'+byte(f.Healthy), 'v', '0'+byte(f.Verified), 't')
	dst = strconv.AppendUint(dst, fnv(fnvBasis, f.Type), 36)
	dst = append(dst, 'n')
	dst = strconv.AppendUint(dst, fnv(fnvBasis, f.Namespace), 36)
	if f.Limit > 0 || !f.After.IsZero() {
		dst = append(dst, 'l')
		dst = strconv.AppendInt(dst, int64(f.Limit), 36)
		dst = append(dst, 'c')
		dst = strconv.AppendUint(dst, fnv(fnvBasis, f.After.text[:f.After.size]), 36)
	}
	return append(dst, '"')
}
