package schedule

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Lateness counts delays in buckets that are at most a sixteenth of their value wide,
// so that its size does not depend on the number of delays.
type Lateness struct {
	counts [64 * 16]atomic.Int64
}

// Add counts a delay; a negative one as 0. It may be called by several goroutines.
func (l *Lateness) Add(d time.Duration) {
	l.counts[bucketOf(uint64(max(0, d)))].Add(1)
}

// Percentile returns a delay that p percent do not exceed, rounded up to the bound of
// its bucket; 0 if there are none.
func (l *Lateness) Percentile(p float64) time.Duration {
	var total int64
	for i := range l.counts {
		total += l.counts[i].Load()
	}
	if total == 0 {
		return 0
	}
	below := int64(p / 100 * float64(total))
	var sum int64
	for i := range l.counts {
		if sum += l.counts[i].Load(); sum > below || sum == total {
			return time.Duration(upperBound(i))
		}
	}
	return 0
}

// bucketOf returns the bucket of v: by its highest bit and the four below.
func bucketOf(v uint64) int {
	if v < 16 {
		return int(v)
	}
	shift := bits.Len64(v) - 5
	return (shift+1)*16 + int(v>>shift) - 16
}

// upperBound returns the largest value in a bucket.
func upperBound(bucket int) uint64 {
	if bucket < 16 {
		return uint64(bucket)
	}
	shift := bucket/16 - 1
	return (uint64(bucket%16)+17)<<shift - 1
}
