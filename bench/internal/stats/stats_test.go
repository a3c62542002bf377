package stats

import (
	"encoding/json"
	"testing"
	"time"
)

func TestQuantilesAreNearestRanks(t *testing.T) {
	var samples []time.Duration
	for i := 200; i >= 1; i-- {
		samples = append(samples, time.Duration(i)*time.Millisecond)
	}
	got := Of(samples)
	want := Summary{Count: 200, P50: 100 * time.Millisecond, P99: 198 * time.Millisecond, Max: 200 * time.Millisecond}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if one := Of([]time.Duration{time.Second}); one.P50 != time.Second || one.P99 != time.Second || one.Max != time.Second {
		t.Errorf("of one sample: %+v", one)
	}
	if none := Of(nil); none != (Summary{}) {
		t.Errorf("of none: %+v", none)
	}
}

func TestMedian(t *testing.T) {
	values := []float64{5, 1, 9, 3}
	for n, want := range map[int]float64{1: 5, 2: 3, 3: 5, 4: 4} {
		if got := Median(values[:n]); got != want {
			t.Errorf("of %v: %v, want %v", values[:n], got, want)
		}
	}
	if values[0] != 5 {
		t.Error("the values were sorted in place")
	}
}

func TestJSONIsInMilliseconds(t *testing.T) {
	b, err := json.Marshal(Of([]time.Duration{1500 * time.Microsecond}))
	if want := `{"count":1,"p50_ms":1.5,"p99_ms":1.5,"max_ms":1.5}`; err != nil || string(b) != want {
		t.Errorf("%s, %v; want %s", b, err, want)
	}
}
