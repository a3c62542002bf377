package snapshot

import (
	"slices"

	"kubernaut.io/dynamic-toolset/service"
)

// A table finds what lookups mean: by a key's Name in the key's Namespace, or in
// any if that is empty.
//
// A table never changes. Its entries are spread over shards, so that the table of
// the next snapshot shares all of them but those with a change.
type table[V any] struct{ shards [tableShards][]tableEntry[V] }

const tableShards = 512

// A shard is in the order of its entries' keys.
type tableEntry[V any] struct {
	key   service.Key
	value V
}

// find returns the value of a key; nil if there is none.
func (t *table[V]) find(namespace, name []byte) *V {
	s := t.shards[hashKey(namespace, name)%tableShards]
	low, high := 0, len(s)
	for low < high {
		mid := (low + high) / 2
		if k := &s[mid].key; k.Namespace < string(namespace) || k.Namespace == string(namespace) && k.Name < string(name) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == len(s) || s[low].key.Namespace != string(namespace) || s[low].key.Name != string(name) {
		return nil
	}
	return &s[low].value
}

// A tableEdit makes the next table.
type tableEdit[V any] struct {
	now   *table[V]
	owned [tableShards]bool // the shard is ours to change
}

func editTable[V any](t *table[V]) *tableEdit[V] {
	now := *t
	return &tableEdit[V]{now: &now}
}

// at returns the value of a key, which is added if there is none. It may be changed
// until the next call.
func (e *tableEdit[V]) at(k service.Key) *V {
	s, at, known := e.search(k)
	if !known {
		*s = slices.Insert(*s, at, tableEntry[V]{key: k})
	}
	return &(*s)[at].value
}

func (e *tableEdit[V]) remove(k service.Key) {
	if s, at, known := e.search(k); known {
		*s = slices.Delete(*s, at, at+1)
	}
}

func (e *tableEdit[V]) search(k service.Key) (shard *[]tableEntry[V], at int, known bool) {
	i := hashKey(k.Namespace, k.Name) % tableShards
	if !e.owned[i] {
		e.owned[i] = true
		e.now.shards[i] = slices.Clone(e.now.shards[i])
	}
	shard = &e.now.shards[i]
	at, known = slices.BinarySearchFunc(*shard, k, func(e tableEntry[V], k service.Key) int { return e.key.Compare(k) })
	return shard, at, known
}

// A named is the toolsets of a name. It holds the outcome of a lookup, so that none
// looks through candidates, of which there may be thousands.
type named struct {
	// all counts them, on those that are enabled, and primaries those of these that
	// are marked as the primary of the type that the name names.
	all, on, primaries tally
	// aliases counts the toolsets of which a Service of the name is an alias.
	aliases tally
	found   *rendered // the one that is meant by name; nil if that is ambiguous, or none has the name
	alias   *rendered // the one that is meant as an alias, likewise
}

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

// A namesEdit makes the next table of names.
type namesEdit struct {
	*tableEdit[named]
	touched map[service.Key]struct{}
}

// add counts what r, a rendering of the member with that number, is found by in (n
// is 1) or out (n is -1).
func (e *namesEdit) add(number uint64, r *rendered, n int) {
	b := r.backend
	for _, in := range [...]string{"", b.Key.Namespace} {
		v := e.touch(service.Key{Namespace: in, Name: r.name})
		v.all.add(number, n)
		if b.Enabled {
			v.on.add(number, n)
			if b.Primary && r.name == b.Type {
				v.primaries.add(number, n)
			}
		}
		for _, alias := range r.aliases {
			e.touch(service.Key{Namespace: in, Name: alias.Name}).aliases.add(number, n)
		}
	}
}

func (e *namesEdit) touch(k service.Key) *named {
	e.touched[k] = struct{}{}
	return e.at(k)
}

// finish returns the table, in which every key that was touched finds what member
// says its number stands for.
func (e *namesEdit) finish(member func(id uint64) *rendered) *table[named] {
	for k := range e.touched {
		v := e.at(k)
		v.found, v.alias = nil, nil
		switch {
		case v.all.n == 0 && v.aliases.n == 0:
			e.remove(k)
			continue
		case v.on.n == 1:
			v.found = member(v.on.ids)
		case v.all.n == 1:
			v.found = member(v.all.ids)
		case v.primaries.n == 1:
			v.found = member(v.primaries.ids)
		}
		if v.aliases.n == 1 {
			v.alias = member(v.aliases.ids)
		}
	}
	return e.now
}
