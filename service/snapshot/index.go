package snapshot

import (
	"slices"

	"kubernaut.io/dynamic-toolset/service"
)

// A table is a map from a namespace and name to what a lookup finds; the namespace is empty
// for lookups in all.
//
// A table never changes. Its entries are divided into shards, so that the table of the next
// snapshot shares all those in which nothing is different. Shards are in groups, as a new
// table would else have to copy where each of them is.
type table[V any] struct {
	groups [tableGroups]*tableGroup[V] // nil for one without entries
}

type tableGroup[V any] struct{ shards [groupShards][]tableEntry[V] }

const (
	tableGroups = 32
	groupShards = 16
)

// placeOf returns where the shard of a key is.
func placeOf[T string | []byte](namespace, name T) (group, shard uint64) {
	h := hashKey(namespace, name) % (tableGroups * groupShards)
	return h / groupShards, h % groupShards
}

// A tableEntry is an entry of a shard, which is sorted by key.
type tableEntry[V any] struct {
	key   service.Key
	value V
}

// find returns the value of a key; nil if there is none. It allocates nothing.
func (t *table[V]) find(namespace, name []byte) *V {
	group, shard := placeOf(namespace, name)
	g := t.groups[group]
	if g == nil {
		return nil
	}
	s := g.shards[shard]
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

// A tableEdit builds the next table.
type tableEdit[V any] struct {
	now   *table[V]
	owned [tableGroups]struct { // what is a copy that may be changed
		group  bool
		shards [groupShards]bool
	}
}

func editTable[V any](t *table[V]) *tableEdit[V] {
	now := *t
	return &tableEdit[V]{now: &now}
}

// at returns the value of a key, and adds it if there is none. The pointer is valid until
// the next call.
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
	i, j := placeOf(k.Namespace, k.Name)
	owned := &e.owned[i]
	if !owned.group {
		owned.group = true
		now := &tableGroup[V]{}
		if old := e.now.groups[i]; old != nil {
			*now = *old
		}
		e.now.groups[i] = now
	}
	shard = &e.now.groups[i].shards[j]
	if !owned.shards[j] {
		owned.shards[j] = true
		*shard = append(make([]tableEntry[V], 0, len(*shard)+1), *shard...) // one may be added
	}
	at, known = slices.BinarySearchFunc(*shard, k, func(e tableEntry[V], k service.Key) int { return e.key.Compare(k) })
	return shard, at, known
}

// A named is the result of lookups by one name. It is computed when a snapshot is built,
// since a name may have thousands of candidates.
type named struct {
	all       tally // toolsets with the name
	enabled   tally // those of all that are enabled
	primaries tally // those of enabled that are marked as the primary of the type with this name
	aliases   tally // toolsets that have an alias with the name

	found *rendered // the toolset that the name finds; nil if there is none or it is ambiguous
	alias *rendered // the toolset that the name finds as an alias; nil as for found
}

// A tally counts a set of members, and knows the member if there is only one: ids is the
// exclusive or of their numbers.
type tally struct {
	n   int
	ids uint64
}

func (t *tally) add(id uint64, n int) {
	t.n += n
	t.ids ^= id
}

// A namesEdit builds the next table of names.
type namesEdit struct {
	*tableEdit[named]
	touched map[service.Key]struct{}
}

// add adds the names under which r, the rendering of a member, is found, if n is 1; it
// removes them if n is -1.
func (e *namesEdit) add(number uint64, r *rendered, n int) {
	b := r.backend
	for _, in := range [...]string{"", b.Key.Namespace} {
		v := e.touch(service.Key{Namespace: in, Name: r.name})
		v.all.add(number, n)
		if b.Enabled {
			v.enabled.add(number, n)
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

// finish returns the table, after it has determined what each touched key finds. member
// returns the rendering of the member with a number.
func (e *namesEdit) finish(member func(id uint64) *rendered) *table[named] {
	for k := range e.touched {
		v := e.at(k)
		v.found, v.alias = nil, nil
		switch {
		case v.all.n == 0 && v.aliases.n == 0:
			e.remove(k)
			continue
		case v.enabled.n == 1:
			v.found = member(v.enabled.ids)
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
