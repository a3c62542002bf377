package comparison

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The limits of Read, far above what a run writes.
const (
	maxFile   = 16 << 20 // bytes
	maxKinds  = 64       // servers, workloads, targets
	maxRounds = 1000     // of one measurement
	maxSeries = maxKinds * maxKinds
)

// Read reads a result that a run wrote as JSON, for example to draw its charts again.
func Read(from io.Reader) (*Result, error) {
	limited := &io.LimitedReader{R: from, N: maxFile + 1}
	decoder := json.NewDecoder(limited)
	var r Result
	err := decoder.Decode(&r)
	if err == nil {
		if _, err = decoder.Token(); err == nil {
			err = errors.New("there is more behind it")
		} else if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	switch {
	case limited.N <= 0:
		err = fmt.Errorf("it has more than %d MiB", maxFile>>20)
	case err == nil:
		err = r.check()
	case errors.Is(err, io.EOF):
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("this is no result of a comparison of servers, which --json writes: %w", err)
	}
	return &r, nil
}

// check returns an error if the result is empty or too large to be shown.
func (r *Result) check() error {
	if len(r.Throughput)+len(r.Latency)+len(r.Idle) == 0 {
		return errors.New("it has no measurement")
	}
	for _, list := range []struct {
		name      string
		has, most int
	}{
		{"contestants", len(r.Servers), maxKinds}, {"workloads", len(r.Workloads), maxKinds}, {"targets", len(r.Targets), maxKinds},
		{"missing", len(r.Missing), maxKinds},
		{"throughput", len(r.Throughput), maxSeries}, {"latency", len(r.Latency), maxSeries}, {"idle", len(r.Idle), maxKinds},
	} {
		if list.has > list.most {
			return fmt.Errorf("%s has %d entries, more than %d", list.name, list.has, list.most)
		}
	}
	rounds := 0
	for _, t := range r.Throughput {
		rounds = max(rounds, len(t.Rounds))
	}
	for _, l := range r.Latency {
		rounds = max(rounds, len(l.Rounds))
	}
	for _, i := range r.Idle {
		rounds = max(rounds, len(i.Rounds))
	}
	for _, t := range r.Targets {
		rounds = max(rounds, len(t.Ratios))
	}
	if rounds > maxRounds {
		return fmt.Errorf("a measurement has %d rounds, more than %d", rounds, maxRounds)
	}
	return nil
}
