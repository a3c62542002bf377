package verdict

import (
	"fmt"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A soak: a million requests in all classes, over 100 steps, each of which stops three pods.
func BenchmarkJudgeSoak(b *testing.B) {
	began := time.Now()
	classes := []record.Class{record.Pooled, record.New, record.Slow, record.Stream}
	run := &record.Run{Began: began}
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	run.Phases = append(run.Phases, record.Phase{Kind: record.Baseline, Began: began, Ended: at(5)})
	for i := range 100 {
		run.Phases = append(run.Phases, record.Phase{Kind: record.Action, Began: at(float64(5 + 10*i)), Ended: at(float64(14 + 10*i))})
		for k := range 3 {
			run.Pods = append(run.Pods, record.Pod{Name: fmt.Sprintf("pod-%d-%d", i, k), Deleted: at(float64(8 + 10*i))})
		}
	}
	for i := range 1_000_000 {
		due := float64(i) / 1000
		run.Requests = append(run.Requests, record.Request{Class: classes[i%len(classes)], Outcome: record.OK, Pod: run.Pods[int(due)/10*3%300].Name,
			Due: at(due), Sent: at(due), End: at(due + 0.01), Status: 200})
	}
	run.Ended = at(1010)
	for b.Loop() {
		Judge(run, Rules{Classes: classes, Terminations: true})
	}
}
