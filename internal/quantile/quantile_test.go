package quantile

import (
	"testing"
	"time"
)

func TestNearestRank(t *testing.T) {
	ten := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for _, c := range []struct {
		values []time.Duration
		q      float64
		want   time.Duration
	}{{nil, 0.5, 0}, {ten, 0.5, 5}, {ten, 0.99, 10}, {ten, 0, 1}, {ten, 1, 10}, {ten, 1.5, 10}, {hundred, 0.99, 99}, {hundred, 0.5, 50}, {ten[:1], 0.5, 1}} {
		if got := Of(c.values, c.q); got != c.want {
			t.Errorf("p%v of %d values is %d, want %d", c.q*100, len(c.values), got, c.want)
		}
	}
}
