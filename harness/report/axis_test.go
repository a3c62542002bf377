package report

import (
	"math"
	"testing"
	"time"
)

func TestTicks(t *testing.T) {
	for length, want := range map[time.Duration][2]time.Duration{ // the first step, and the last tick
		time.Second:                  {100 * time.Millisecond, time.Second},
		62 * time.Second:             {10 * time.Second, 60 * time.Second},
		300 * time.Second:            {30 * time.Second, 300 * time.Second},
		8 * time.Hour:                {time.Hour, 8 * time.Hour},
		time.Duration(math.MaxInt64): {}, // clocks may be wrong
	} {
		ticks := timeAxis{length: length}.ticks(11)
		if len(ticks) < 2 || len(ticks) > 24 {
			t.Fatalf("%v: %d ticks", length, len(ticks))
		}
		if last := ticks[len(ticks)-1]; want[0] > 0 && (ticks[1] != want[0] || last != want[1]) {
			t.Errorf("%v: steps of %v to %v, want %v to %v", length, ticks[1], last, want[0], want[1])
		}
		for i := 1; i < len(ticks); i++ {
			if ticks[i] <= ticks[i-1] {
				t.Fatalf("%v: tick %d is not behind the one before", length, i)
			}
		}
	}
}
