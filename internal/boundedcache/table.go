// Package boundedcache has a bounded table that is read without locks.
//
// A [Table] is organised like a set-associative CPU cache: the hash of a key selects a
// set of eight places, and its entry is in one of these or nowhere. That bounds the
// memory whatever keys come, and needs no list of the entries used last, which readers
// would have to update. The hash has a random seed for each table, so that nobody outside
// can choose keys that fall into the same set.
package boundedcache

import (
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
)

// ways is the number of places in a set. When half of all places are taken, one set in
// fifty is too small for its keys; when a quarter is taken, one in four thousand.
const ways = 8

// A Table maps keys to values, and holds at most a fixed number of them. Get takes no
// lock and allocates nothing. Values must only be changed by atomic operations. All
// methods may be called concurrently.
type Table[K comparable, V any] struct {
	seed maphash.Seed
	sets [][ways]atomic.Pointer[entry[K, V]]

	mu sync.Mutex // held by writers
}

type entry[K comparable, V any] struct {
	key   K
	value *V
}

// New returns a table with at least the given number of places.
func New[K comparable, V any](places int) *Table[K, V] {
	sets := 1
	for sets*ways < places {
		sets *= 2
	}
	return &Table[K, V]{seed: maphash.MakeSeed(), sets: make([][ways]atomic.Pointer[entry[K, V]], sets)}
}

func (t *Table[K, V]) set(key K) *[ways]atomic.Pointer[entry[K, V]] {
	return &t.sets[maphash.Comparable(t.seed, key)&uint64(len(t.sets)-1)]
}

// Get returns the value of a key; nil if there is none.
func (t *Table[K, V]) Get(key K) *V {
	set := t.set(key)
	for i := range set {
		if e := set[i].Load(); e != nil && e.key == key {
			return e.value
		}
	}
	return nil
}

// Put sets the value of a key. If the key's set is full, the entry with the lowest worth
// is dropped.
func (t *Table[K, V]) Put(key K, value *V, worth func(*V) int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(key, value, worth)
}

func (t *Table[K, V]) put(key K, value *V, worth func(*V) int64) {
	set := t.set(key)
	place, least, free := 0, int64(0), false
	for i := range set {
		e := set[i].Load()
		switch {
		case e == nil:
			if !free {
				place, free = i, true
			}
		case e.key == key:
			set[i].Store(&entry[K, V]{key, value})
			return
		case !free:
			if w := worth(e.value); i == 0 || w < least {
				place, least = i, w
			}
		}
	}
	set[place].Store(&entry[K, V]{key, value})
}

// GetOrPut returns the value of a key. If there is none it puts the result of value.
// Concurrent calls for the same key all return the same value.
func (t *Table[K, V]) GetOrPut(key K, value func() *V, worth func(*V) int64) *V {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.Get(key); v != nil {
		return v
	}
	v := value()
	t.put(key, v, worth)
	return v
}

// Delete removes a key.
func (t *Table[K, V]) Delete(key K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	set := t.set(key)
	for i := range set {
		if e := set[i].Load(); e != nil && e.key == key {
			set[i].Store(nil)
		}
	}
}

// All returns an iterator over the values. It may miss values that are put or deleted
// meanwhile.
func (t *Table[K, V]) All() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		for s := range t.sets {
			for i := range t.sets[s] {
				if e := t.sets[s][i].Load(); e != nil && !yield(e.value) {
					return
				}
			}
		}
	}
}
