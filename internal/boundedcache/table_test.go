package boundedcache

import (
	"sync"
	"sync/atomic"
	"testing"
)

type key [32]byte

func keyOf(n int) key { return key{byte(n), byte(n >> 8), byte(n >> 16)} }

func byValue(v *int) int64 { return int64(*v) }

func ptr(n int) *int { return &n }

func TestPutGetDelete(t *testing.T) {
	table := New[key, int](64)
	if table.Get(keyOf(1)) != nil {
		t.Error("an empty table has a key")
	}
	table.Put(keyOf(1), ptr(10), byValue)
	table.Put(keyOf(2), ptr(20), byValue)
	table.Put(keyOf(1), ptr(11), byValue)
	if v := table.Get(keyOf(1)); v == nil || *v != 11 {
		t.Errorf("the value put last is not there: %v", v)
	}
	table.Delete(keyOf(1))
	table.Delete(keyOf(3))
	if table.Get(keyOf(1)) != nil || table.Get(keyOf(2)) == nil {
		t.Error("Delete removed nothing, or another key")
	}
	var all []int
	for v := range table.All() {
		all = append(all, *v)
	}
	if len(all) != 1 || all[0] != 20 {
		t.Errorf("All: %v", all)
	}
}

// However many keys come, a set keeps eight entries: those with the highest worth.
func TestFullSetDropsTheLeastWorth(t *testing.T) {
	table := New[key, int](ways) // one set
	for i := range 100 {
		table.Put(keyOf(i), ptr((i*37)%100), byValue)
	}
	kept := 0
	for v := range table.All() {
		kept++
		// The entry that was put last always stays, whatever its worth.
		if *v < 100-ways && *v != (99*37)%100 {
			t.Errorf("%d was kept, of 0 to 99", *v)
		}
	}
	if kept != ways {
		t.Errorf("%d are kept, want %d", kept, ways)
	}
}

// A key that is put again takes its own place again and no second one.
func TestPutAgainTakesNoSecondPlace(t *testing.T) {
	table := New[key, int](ways)
	for i := range ways {
		table.Put(keyOf(i), ptr(i), byValue)
	}
	table.Delete(keyOf(0))
	table.Put(keyOf(5), ptr(50), byValue)
	n := 0
	for range table.All() {
		n++
	}
	if n != ways-1 || *table.Get(keyOf(5)) != 50 {
		t.Errorf("%d entries, the key has %d", n, *table.Get(keyOf(5)))
	}
}

func TestGetOrPutGivesAllTheSame(t *testing.T) {
	table := New[key, atomic.Int64](64)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range 32 {
				table.GetOrPut(keyOf(i), func() *atomic.Int64 { return &atomic.Int64{} }, (*atomic.Int64).Load).Add(1)
				table.Get(keyOf(i))
			}
		})
	}
	wg.Wait()
	for i := range 32 {
		// 32 keys in 64 places may be too many for one set; but the entries that are
		// there are right.
		if v := table.Get(keyOf(i)); v != nil && v.Load() > 16 {
			t.Errorf("key %d: %d", i, v.Load())
		}
	}
	one := New[key, atomic.Int64](ways)
	for range 16 {
		wg.Go(func() {
			one.GetOrPut(keyOf(0), func() *atomic.Int64 { return &atomic.Int64{} }, (*atomic.Int64).Load).Add(1)
		})
	}
	wg.Wait()
	if n := one.Get(keyOf(0)).Load(); n != 16 {
		t.Errorf("%d of 16 had the same value", n)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	table := New[key, int](1024)
	table.Put(keyOf(1), ptr(1), byValue)
	if n := testing.AllocsPerRun(100, func() { table.Get(keyOf(1)); table.Get(keyOf(2)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGet(b *testing.B) {
	table := New[key, int](16384)
	for i := range 4096 {
		table.Put(keyOf(i), ptr(i), byValue)
	}
	k := keyOf(77)
	for b.Loop() {
		table.Get(k)
	}
}
