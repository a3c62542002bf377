package service

import "slices"

// An index finds the toolset that a lookup means: by a key's Name, which is a
// toolset's name or type, in the key's Namespace, or in any if that is empty. It
// holds the outcome for each, so that a lookup does not look through candidates,
// of which a type may have thousands.
//
// An index never changes. Its entries are spread over shards, so that the index
// of the next snapshot shares all of them but those with a change.
type index struct{ shards [indexShards]shard }

const indexShards = 512

// A shard is in the order of its entries' keys.
type shard []indexEntry

type indexEntry struct {
	key Key
	// all counts those that have the key, and on those of them that are enabled; of
	// these, primaries are marked as the primary of the type that the key names, and
	// pinned by an administrator.
	all, on, primaries, pinned tally
	found                      *rendered // nil if the key is ambiguous
}

// A role is what a member of an index is there.
type role struct{ on, primary, pinned bool }

// A tally counts a changing set of members, by their numbers. It knows which the
// last one left is without a list of them: ids is the exclusive or of the numbers.
type tally struct {
	n   int
	ids uint64
}

func (t *tally) add(id uint64, n int) {
	t.n += n
	t.ids ^= id
}

// find looks up what was asked for. on says whether any that has the key is enabled.
func (x *index) find(namespace, name []byte) (r *rendered, known, on bool) {
	s := x.shards[hashKey(namespace, name)%indexShards]
	low, high := 0, len(s)
	for low < high {
		mid := (low + high) / 2
		if k := s[mid].key; k.Namespace < string(namespace) || k.Namespace == string(namespace) && k.Name < string(name) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(s) || s[low].key.Namespace != string(namespace) || s[low].key.Name != string(name) {
		return nil, false, false
	}
	return s[low].found, true, s[low].on.n > 0
}

// An indexEdit makes the next index.
type indexEdit struct {
	now     *index
	owned   [indexShards]bool // the shard is ours to change
	touched map[Key]struct{}
}

func editIndex(x *index) *indexEdit {
	now := *x
	return &indexEdit{now: &now, touched: map[Key]struct{}{}}
}

// add counts the member with that number in (n is 1) or out (n is -1).
func (e *indexEdit) add(k Key, id uint64, as role, n int) {
	s := e.shard(k)
	at, known := slices.BinarySearchFunc(*s, k, func(i indexEntry, k Key) int { return compareKeys(i.key, k) })
	if !known {
		*s = slices.Insert(*s, at, indexEntry{key: k})
	}
	entry := &(*s)[at]
	entry.all.add(id, n)
	if as.on {
		entry.on.add(id, n)
		if as.primary {
			entry.primaries.add(id, n)
		}
		if as.pinned {
			entry.pinned.add(id, n)
		}
	}
	e.touched[k] = struct{}{}
}

func (e *indexEdit) shard(k Key) *shard {
	i := hashKey(k.Namespace, k.Name) % indexShards
	if !e.owned[i] {
		e.owned[i] = true
		e.now.shards[i] = slices.Clone(e.now.shards[i])
	}
	return &e.now.shards[i]
}

// finish returns the index, in which every key that was touched finds what
// member says its number stands for.
func (e *indexEdit) finish(member func(id uint64) *rendered) *index {
	for k := range e.touched {
		s := e.shard(k)
		at, _ := slices.BinarySearchFunc(*s, k, func(i indexEntry, k Key) int { return compareKeys(i.key, k) })
		switch entry := &(*s)[at]; {
		case entry.all.n == 0:
			*s = slices.Delete(*s, at, at+1)
		case entry.on.n == 1:
			entry.found = member(entry.on.ids)
		case entry.all.n == 1:
			entry.found = member(entry.all.ids)
		case entry.pinned.n == 1:
			entry.found = member(entry.pinned.ids)
		case entry.pinned.n == 0 && entry.primaries.n == 1:
			entry.found = member(entry.primaries.ids)
		default:
			entry.found = nil
		}
	}
	return e.now
}
