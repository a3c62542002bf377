package schedule

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Lateness counts delays in buckets whose width is a sixteenth of their value or
// less, so that it needs no more memory for a longer run.
type Lateness struct {
	counts [64 * 16]atomic.Int64
}

// Add counts a delay; one below 0 as 0. It may be called from several goroutines.
func (l *Lateness) Add(d time.Duration) {
	l.counts[bucketOf(uint64(max(0, d)))].Add(1)
}

// Percentile returns the value that p percent of the delays do not exceed, to
// the next bucket's bound; 0 if there are none.
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

// bucketOf returns the bucket of v: its highest bit and the four below it.
func bucketOf(v uint64) int {
	if v < 16 {
		return int(v)
	}
	shift := bits.Len64(v) - 5
	return (shift+1)*16 + int(v>>shift) - 16
}

// upperBound returns the largest value of a bucket.
func upperBound(bucket int) uint64 {
	if bucket < 16 {
		return uint64(bucket)
	}
	shift := bucket/16 - 1
	return (uint64(bucket%16)+17)<<shift - 1
}
