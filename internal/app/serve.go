package app

import (
	"runtime"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/internal/logging"
	"kubernaut.io/dynamic-toolset/shutdown"
)

// Serve implements the command serve: it runs the service in this process until a signal,
// and returns the exit code.
func Serve(s *config.Settings, version string, signals *shutdown.Signals) (int, error) {
	log, err := logging.New(s.Logs.Level, s.Logs.Format)
	if err != nil {
		return 0, err
	}
	defer log.Sync() //nolint:errcheck // standard error can't be synced everywhere
	// Libraries that write to the standard logger (such as of metrics that this
	// kernel doesn't have) must not break the log's format.
	restore, err := zap.RedirectStdLogAt(log, zapcore.DebugLevel)
	if err != nil {
		return 0, err
	}
	defer restore()
	cluster.RedirectClientLogs(log)
	signals.LogTo(log)

	if !s.HTTP.Pprof {
		runtime.MemProfileRate = 0 // nobody can ask for a heap profile, so it should cost nothing
	}
	for _, w := range s.Warnings {
		log.Warn("A setting may not be what is meant", zap.String("warning", w))
	}
	a, err := New(s, version, log)
	if err != nil {
		return 0, err
	}
	return a.Run(signals)
}
