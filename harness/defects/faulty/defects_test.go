package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// The correct server shows nothing. Each defect shows what a verifier must see, and
// nothing else that is not listed here.
func TestDefects(t *testing.T) {
	ended := []string{keptLost, slowCut, uploadLost, streamCut, wrongLog} // by any process that just ends
	tests := []struct {
		flag string
		must []string
		may  []string // depends on what happens at that moment
	}{
		{"--defect=", nil, nil},
		{"--defect=exits-at-once", append([]string{refusedEarly}, ended...), []string{newLost, probeLost}},
		{"--defect=no-propagation-wait", []string{refusedEarly}, nil},
		// All requests are served until the kill, which loses those in flight.
		{"--defect=ignores-sigterm", []string{needsSIGKILL, readiness200, streamCut, wrongLog}, nil},
		{"--defect=closes-idle-connections", []string{keptLost, notAnnounced}, nil},
		{"--defect=abandons-in-flight", []string{slowCut, uploadLost}, []string{keptLost, newLost, probeLost}},
		{"--defect=readiness-stays-200", []string{readiness200}, nil},
		{"--defect=liveness-fails", []string{livenessNot}, nil},
		{"--defect=drain-exceeds-grace", []string{needsSIGKILL, wrongLog}, nil},
		{"--defect=503-while-draining", []string{badStatus}, nil},
		{"--defect=plain-text-errors", []string{notProblem}, nil},
		{"--defect=exit-code-1", []string{wrongExitCode}, nil},
		{"--defect=resets-accept-queue", []string{newLost, probeLost}, nil},
		{"--shutdown=naive", append([]string{refusedEarly}, ended...), []string{newLost, probeLost}},
		{"--shutdown=readiness-only", append([]string{notAnnounced}, ended...), []string{newLost, probeLost}},
	}
	if len(tests) != len(defects)+3 {
		t.Errorf("%d tests for %d defects", len(tests), len(defects))
	}
	for _, test := range tests {
		t.Run(test.flag, func(t *testing.T) {
			t.Parallel()
			// What is in flight at SIGTERM takes two seconds. On a busy host it may
			// have ended before the server's mistake.
			err := testenv.Measure(t, "what "+test.flag+" does", func() (bool, error) {
				return true, differences(observe(t, test.flag), test.must, test.may)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// differences returns what must be seen but was not, and what was seen but may not be.
func differences(seen map[string]string, must, may []string) error {
	var wrong []string
	for _, what := range must {
		if _, ok := seen[what]; !ok {
			wrong = append(wrong, "not seen: "+what)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		if !slices.Contains(must, what) && !slices.Contains(may, what) {
			wrong = append(wrong, fmt.Sprintf("seen: %s (%s)", what, seen[what]))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}
