package configmap

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/service"
)

const (
	// MaxParts is over how many ConfigMaps the documents are split at most.
	MaxParts = 32
	// PartNames is how many names there are for parts: NAME-1 to NAME-64. A part
	// that changes gets another name, so that its old content stays readable until
	// the index is about the new one; so there are twice as many as parts.
	PartNames = 2 * MaxParts
)

// maxData is how much an API server lets a ConfigMap hold, bytes
// (k8s.io/kubernetes/pkg/apis/core, MaxSecretSize).
const maxData = 1 << 20

// limits are sizes in bytes; tests have smaller ones.
type limits struct {
	// whole is the most that the documents may have in the one ConfigMap; once they
	// are split, they must shrink to again before they are whole again. Whoever
	// grows and shrinks around one limit would be rewritten all the time.
	whole, again int
	// A part has at most partMax and, but for the last one of a document, at least
	// partMin.
	partMin, partMax int
	// spare is left free for others' keys and the API server's count.
	spare int
	// gap is the least time between two writes of parts; see splitGap.
	gap time.Duration
}

var defaultLimits = limits{whole: 768 << 10, again: 640 << 10, partMin: 384 << 10, partMax: 768 << 10, spare: 16 << 10, gap: splitGap}

// A sum identifies the value of a key.
type sum [sha256.Size]byte

func (s sum) String() string { return hex.EncodeToString(s[:]) }

// sumOf is the sum of the whole document, without putting it together.
func sumOf(d *service.GeneratedDocument) (s sum) {
	h := sha256.New()
	h.Write(d.Head)
	for i, e := range d.Entries {
		if i > 0 {
			h.Write(d.Separator)
		}
		h.Write(e)
	}
	h.Write(d.Tail)
	h.Sum(s[:0])
	return s
}

func sizeOf(docs []service.GeneratedDocument) (n int) {
	for i := range docs {
		n += docs[i].Size()
	}
	return n
}

// A part is a piece of a document that is a document of its own.
type part struct {
	doc  service.GeneratedDocument
	size int
	sum  sum
}

// split cuts a document between entries into parts that are complete in
// themselves. Where it cuts depends on the entries nearby and on nothing else: of
// the places at which a part may end, the one after the entry of the least hash.
// So an entry that comes, goes or changes alters the part that it is in and seldom
// another one, whoever splits, whatever was written before. (Content-defined
// chunking, as of backups: Muthitacharoen et al., "A Low-bandwidth Network File
// System", 2001; the local minimum is that of Bjørner et al., 2010.)
func split(d *service.GeneratedDocument, l limits) ([]part, error) {
	frame := len(d.Head) + len(d.Tail)
	var parts []part
	for rest := d.Entries; ; {
		size, end, cut := frame, 0, 0
		least := ^uint64(0)
		for end < len(rest) {
			n := len(rest[end])
			if end > 0 {
				n += len(d.Separator)
			}
			if size+n > l.partMax {
				break
			}
			size += n
			end++
			if size >= l.partMin {
				if h := hashOf(rest[end-1]); h < least || cut == 0 {
					least, cut = h, end
				}
			}
		}
		switch {
		case end == len(rest):
			cut = end // the last part
		case end == 0:
			return nil, tooLarge("an entry of %s has %d bytes, and a part holds at most %d", d.Key, len(rest[0]), l.partMax-frame)
		case cut == 0:
			cut = end // the next entry is huge
		}
		p := part{doc: *d}
		p.doc.Entries = rest[:cut:cut]
		if p.size = p.doc.Size(); p.size > l.partMax {
			return nil, tooLarge("what is around the entries of %s has %d bytes, and a part holds at most %d", d.Key, frame, l.partMax)
		}
		p.sum = sumOf(&p.doc)
		parts = append(parts, p)
		if rest = rest[cut:]; len(rest) == 0 {
			return parts, nil
		}
	}
}

func hashOf(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b) //nolint:errcheck // never fails (hash.Hash)
	return h.Sum64()
}

// splitAll splits all documents, in their order.
func splitAll(docs []service.GeneratedDocument, l limits) (all []part, err error) {
	for i := range docs {
		parts, err := split(&docs[i], l)
		if err != nil {
			return nil, err
		}
		all = append(all, parts...)
	}
	if len(all) > MaxParts {
		return nil, tooLarge("the documents have %d bytes and would be %d parts, and there may be %d", sizeOf(docs), len(all), MaxParts)
	}
	return all, nil
}

func tooLarge(format string, args ...any) error {
	return &cluster.Error{Kind: errTooLarge, Cause: errTooLarge, Text: fmt.Sprintf(format, args...) +
		fmt.Sprintf(": watch fewer namespaces, or switch off toolsets with the annotation %stoolset: \"false\"", cluster.AnnotationPrefix)}
}
