package snapshot

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/snapshot/internal/gzipjoin"
)

// A part is one member of a list, rendered. It never changes.
type part struct {
	key  service.Key // its place in the list
	kind string

	enabled, healthy, verified bool

	// json is a comma and the member's object.
	json     []byte
	deflated []byte    // json by gzipjoin.DeflateMember; nil in lists that are never filtered
	of       *rendered // the rendering that it belongs to
}

// Lists are kept in chunks of consecutive members. A change of one member costs the work
// for its chunk; all other chunks are shared with the snapshot before.
//
// A chunk ends at a member whose key has a certain hash (content-defined chunking), or when
// it is full. So chunks depend on the members alone, not on the order in which they came:
// two replicas with the same members give the same bytes and the same entity tag,
// compressed or not.
//
// Distances between hashes vary, and most members are in the longest. So about half of the
// chunks end because they are full: they have 34 members on average, and the chunk of a
// member has 42. (If one member in 32 ended a chunk, and nothing else, it would have 64.) A
// member that comes or goes moves the bounds behind it, up to the next that follows from a
// hash.
const (
	hashEnds = 64 // one member in so many ends a chunk by its hash; a power of two
	maxChunk = 48 // members
)

func endsChunk(k service.Key) bool {
	h := hashKey(k.Namespace, k.Name)
	return (h^h>>32)%hashEnds == 0
}

// hashKey must be the same in all processes, as chunks depend on it.
func hashKey[T string | []byte](namespace, name T) uint64 {
	return fnv((fnv(fnvBasis, namespace)^'/')*fnvPrime, name)
}

// FNV-1a, 64 bits (Fowler, Noll, Vo).
const (
	fnvBasis uint64 = 14695981039346656037
	fnvPrime uint64 = 1099511628211
)

func fnv[T string | []byte](h uint64, b T) uint64 {
	for i := range len(b) {
		h = (h ^ uint64(b[i])) * fnvPrime
	}
	return h
}

// A chunk is a number of consecutive members of a list. It never changes after finish.
type chunk struct {
	parts    []*part
	json     []byte // all members, each after a comma
	deflated []byte // json[1:]; can stand anywhere in a deflate stream
	sum      [sha256.Size]byte
	crc      gzipjoin.CRC // of json
	rest     gzipjoin.CRC // of json[1:]

	// A summary for filters, so that they need not look at each member.
	facets   []facet
	states   [2][2][2]int // number of members by enabled, healthy and verified
	kinds    uint64       // a bit for each type that is here, by hash
	packed   int          // sum of the lengths of the parts' deflated
	oneKind  bool         // all are of one type
	oneSpace bool         // all are in one namespace
}

// A facet is what filters ask about a member. Facets lie side by side in memory.
type facet struct {
	kind                       string
	enabled, healthy, verified bool
}

func kindBit[T string | []byte](kind T) uint64 { return 1 << (fnv(fnvBasis, kind) >> 58) }

func index01(b bool) int {
	if b {
		return 1
	}
	return 0
}

// finish computes all of a chunk from its parts.
func (c *chunk) finish() {
	size := 0
	for _, p := range c.parts {
		size += len(p.json)
	}
	c.json = make([]byte, 0, size)
	c.facets = make([]facet, len(c.parts))
	c.oneKind = true
	for i, p := range c.parts {
		c.json = append(c.json, p.json...)
		c.facets[i] = facet{p.kind, p.enabled, p.healthy, p.verified}
		c.states[index01(p.enabled)][index01(p.healthy)][index01(p.verified)]++
		c.kinds |= kindBit(p.kind)
		c.packed += len(p.deflated)
		c.oneKind = c.oneKind && p.kind == c.parts[0].kind
	}
	c.oneSpace = c.first().Namespace == c.last().Namespace
	c.deflated = gzipjoin.DeflateChunk(c.json[1:])
	c.sum = sha256.Sum256(c.json)
	c.rest = gzipjoin.CRCOf(c.json[1:])
	c.crc = gzipjoin.CRCOf(c.json[:1]).Then(c.rest)
}

func (c *chunk) first() service.Key { return c.parts[0].key }
func (c *chunk) last() service.Key  { return c.parts[len(c.parts)-1].key }

// A list is a sequence of parts in the order of their keys. It never changes.
type list struct {
	chunks []*chunk
	count  int // of parts
}

// A listChange sets the part at a key; nil removes it.
type listChange struct {
	key  service.Key
	part *part
}

// apply returns the list after changes, at most one for each key and in the order of the
// keys. It also returns the new chunks, which must be finished before the list is used.
func (l *list) apply(changes []listChange) (now *list, fresh []*chunk) {
	now = &list{chunks: make([]*chunk, 0, len(l.chunks)+4)}
	at := 0 // l.chunks[:at] are done
	for len(changes) > 0 {
		from, to := l.segment(at, changes[0].key)
		now.chunks = append(now.chunks, l.chunks[at:from]...)
		var members []*part
		for next := from; ; next, to = to, l.segmentEnd(to) {
			n := len(changes)
			if to < len(l.chunks) {
				n, _ = slices.BinarySearchFunc(changes, l.chunks[to-1].last(), func(c listChange, k service.Key) int {
					return cmp.Or(c.key.Compare(k), -1) // the index after k
				})
			}
			members = merge(members, l.chunks[next:to], changes[:n])
			changes = changes[n:]
			if to == len(l.chunks) || len(members) == 0 || endsChunk(members[len(members)-1].key) {
				break
			}
			// The member that ended the segment is gone, so the next segment belongs to it
			// as well.
		}
		fresh = cut(now, members, l.chunks[from:to], fresh)
		at = to
	}
	now.chunks = append(now.chunks, l.chunks[at:]...)
	for _, c := range now.chunks {
		now.count += len(c.parts)
	}
	return now, fresh
}

// segment returns the range of chunks, from at on, that a change at k may change: it begins
// with the chunk that k is in, and ends with the first chunk from there that ends by its
// hash.
func (l *list) segment(at int, k service.Key) (from, to int) {
	n, _ := slices.BinarySearchFunc(l.chunks[at:], k, func(c *chunk, k service.Key) int { return c.last().Compare(k) })
	from = at + n
	if from == len(l.chunks) {
		if from > at && !endsChunk(l.chunks[from-1].last()) {
			from--
		} else {
			return from, from
		}
	}
	return from, l.segmentEnd(from)
}

// segmentEnd returns the end of the segment that contains the chunk at i.
func (l *list) segmentEnd(i int) int {
	for i < len(l.chunks) {
		i++
		if endsChunk(l.chunks[i-1].last()) {
			break
		}
	}
	return i
}

// merge appends the parts of chunks to members, with changes applied.
func merge(members []*part, chunks []*chunk, changes []listChange) []*part {
	for _, c := range chunks {
		for _, p := range c.parts {
			for len(changes) > 0 && changes[0].key.Compare(p.key) < 0 {
				if changes[0].part != nil {
					members = append(members, changes[0].part)
				}
				changes = changes[1:]
			}
			if len(changes) > 0 && changes[0].key == p.key {
				p, changes = changes[0].part, changes[1:]
			}
			if p != nil {
				members = append(members, p)
			}
		}
	}
	for _, c := range changes {
		if c.part != nil {
			members = append(members, c.part)
		}
	}
	return members
}

// cut divides members into chunks and appends these to l. It uses chunks of old that are
// the same; new ones are appended to fresh, too.
func cut(l *list, members []*part, old []*chunk, fresh []*chunk) []*chunk {
	known := make(map[*part]*chunk, len(old))
	for _, c := range old {
		known[c.parts[0]] = c
	}
	for len(members) > 0 {
		n := 1
		for n < len(members) && n < maxChunk && !endsChunk(members[n-1].key) {
			n++
		}
		c := known[members[0]]
		if c == nil || !slices.Equal(c.parts, members[:n]) {
			c = &chunk{parts: slices.Clone(members[:n])}
			fresh = append(fresh, c)
		}
		l.chunks = append(l.chunks, c)
		members = members[n:]
	}
	return fresh
}
