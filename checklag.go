package main

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"kubernaut.io/dynamic-toolset/service/health"
)

// lagBuckets tell checks on time from those that wait for a worker (up to a
// tenth of --health-timeout is no harm) and from those of which an interval or
// more is lost.
var lagBuckets = []float64{0.01, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 300}

// observeLag returns what health.Options.OnStart calls: it keeps how late
// checks start, for each class of back ends, as these don't wait for each other.
func (a *app) observeLag() func(health.Class, time.Duration) {
	lag := map[health.Class]*metrics.PrometheusHistogram{}
	for _, class := range []health.Class{health.ClassPrompt, health.ClassNew, health.ClassSlow} {
		lag[class] = a.set.NewPrometheusHistogramExt(fmt.Sprintf("toolset_health_check_lag_seconds{class=%q}", class), lagBuckets)
	}
	return func(class health.Class, late time.Duration) { lag[class].Update(late.Seconds()) }
}
