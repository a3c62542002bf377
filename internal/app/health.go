package app

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/health"
)

// buildChecker builds the checker of back ends' health.
func (a *App) buildChecker() error {
	s := a.settings
	roots, err := s.Health.RootCAs()
	if err != nil {
		return fmt.Errorf("--health-ca-file: %w", err)
	}
	a.checker, err = health.New(health.Options{
		Interval: s.Health.Interval, Timeout: s.Health.Timeout, Attempts: s.Health.Attempts, Concurrency: s.Health.Concurrency,
		AllowCIDRs: s.Health.AllowEndpointCIDRs, RootCAs: roots, InsecureSkipTLSVerify: s.Health.InsecureSkipTLSVerify, Resolver: s.Health.Resolver(),
		Report:  func(k service.Key, h service.Health) { a.catalogue.SetHealth(k, h) },
		OnStart: a.observeLag(), OnCheck: a.countCheck,
	})
	return err
}

// countCheck counts a health check by the type of its back end.
func (a *App) countCheck(key service.Key, ok bool, _ time.Duration) {
	status := "unhealthy"
	if ok {
		status = "healthy"
	}
	a.set.GetOrCreateCounter(fmt.Sprintf("toolset_health_checks_total{service_type=%q,status=%q}", a.catalogue.TypeOf(key), status)).Inc()
}

// lagBuckets tell checks on time from those that wait for a worker (up to a tenth of
// --health-timeout does no harm) and from those that lose an interval or more.
var lagBuckets = []float64{0.01, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 300}

// observeLag returns a function for health.Options.OnStart. It records how late checks
// start, for each class of back ends, since classes don't wait for each other.
func (a *App) observeLag() func(health.Class, time.Duration) {
	lag := map[health.Class]*metrics.PrometheusHistogram{}
	for _, class := range []health.Class{health.ClassPrompt, health.ClassNew, health.ClassSlow} {
		lag[class] = a.set.NewPrometheusHistogramExt(fmt.Sprintf("toolset_health_check_lag_seconds{class=%q}", class), lagBuckets)
	}
	return func(class health.Class, late time.Duration) { lag[class].Update(late.Seconds()) }
}
