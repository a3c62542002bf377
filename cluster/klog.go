package cluster

import (
	"fmt"

	"github.com/go-logr/logr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// RedirectClientLogs sends what client-go logs by itself to log. By default that goes to
// standard error, in another format. It must be called once, before anything of client-go
// runs, since a process has one klog logger.
func RedirectClientLogs(log *zap.Logger) { klog.SetLogger(Logr(log)) }

// Logr returns a logger for client-go that writes to log. Its level 0 becomes info, 1 and
// 2 become debug, and higher levels are dropped.
func Logr(log *zap.Logger) logr.Logger {
	return logr.New(zapSink{log.WithOptions(zap.WithCaller(false)).Named("client-go")})
}

type zapSink struct{ log *zap.Logger }

func (s zapSink) Init(logr.RuntimeInfo) {}

func (s zapSink) Enabled(level int) bool {
	return level == 0 || level <= 2 && s.log.Core().Enabled(zapcore.DebugLevel)
}

func (s zapSink) Info(level int, msg string, kv ...any) {
	at := zapcore.InfoLevel
	if level > 0 {
		at = zapcore.DebugLevel
	}
	s.log.Log(at, Clean(msg), zapFields(kv)...)
}

func (s zapSink) Error(err error, msg string, kv ...any) {
	out := zapFields(kv)
	if err != nil {
		out = append(out, zap.String("error", Clean(err.Error())))
	}
	s.log.Error(Clean(msg), out...)
}

func (s zapSink) WithValues(kv ...any) logr.LogSink { return zapSink{s.log.With(zapFields(kv)...)} }
func (s zapSink) WithName(name string) logr.LogSink { return zapSink{s.log.Named(name)} }

func zapFields(kv []any) []zap.Field {
	out := make([]zap.Field, 0, len(kv)/2+1)
	for i := 0; i+1 < len(kv); i += 2 {
		key, _ := kv[i].(string)
		out = append(out, zap.String(key, Clean(fmt.Sprint(kv[i+1]))))
	}
	return out
}
