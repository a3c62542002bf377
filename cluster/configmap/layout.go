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
	// MaxParts bounds the number of ConfigMaps that the documents are split into.
	MaxParts = 32
	// PartNames is the number of names for parts: NAME-1 to NAME-64. It is twice
	// MaxParts, since a part that changes gets another name, so that its old content can
	// be read until the index refers to the new one.
	PartNames = 2 * MaxParts
)

// maxData is how much data an API server accepts in a ConfigMap, in bytes
// (k8s.io/kubernetes/pkg/apis/core, MaxSecretSize).
const maxData = 1 << 20

// limits are sizes in bytes; tests use smaller ones.
type limits struct {
	// Documents larger than whole are split. Once they are split, they must shrink to
	// again before they are put into one ConfigMap. With a single limit, documents whose
	// size varies around it would be rewritten all the time.
	whole, again int
	// A part has at most partMax bytes and at least partMin, except for the last part of
	// a document.
	partMin, partMax int
	// spare is left free for the keys of others, and for what the API server adds.
	spare int
	// gap is the least time between two writes of parts; see splitGap.
	gap time.Duration
}

var defaultLimits = limits{whole: 768 << 10, again: 640 << 10, partMin: 384 << 10, partMax: 768 << 10, spare: 16 << 10, gap: splitGap}

// A sum identifies the value of a key.
type sum [sha256.Size]byte

func (s sum) String() string { return hex.EncodeToString(s[:]) }

// sumOf returns the sum of the whole document, without building it.
func sumOf(d *service.Document) (s sum) {
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

func sizeOf(docs []service.Document) (n int) {
	for i := range docs {
		n += docs[i].Size()
	}
	return n
}

// A part is a piece of a document that is itself a complete document.
type part struct {
	doc  service.Document
	size int
	sum  sum
}

// split cuts a document between entries into parts that are complete documents. Of the
// places where a part may end, it chooses the one behind the entry with the lowest hash.
// So the cut depends only on the entries nearby: when an entry is added, removed or
// changed, its part changes and seldom another one, whichever replica splits and whatever
// was written before. This is content-defined chunking, as in backup programs
// (Muthitacharoen et al., "A Low-bandwidth Network File System", 2001; with the local
// minimum of Bjørner et al., 2010).
func split(d *service.Document, l limits) ([]part, error) {
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
func splitAll(docs []service.Document, l limits) (all []part, err error) {
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
