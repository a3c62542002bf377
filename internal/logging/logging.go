// Package logging makes the log of a process: lines of JSON, or text for people at a
// terminal. Both are printable ASCII, whatever is logged.
package logging

import (
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// New returns a logger that writes lines of this level and above to standard error. The
// format is json, console, or auto, which means console at a terminal and json elsewhere.
func New(minimum, format string) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(minimum)
	if err != nil {
		return nil, err
	}
	console := format == "console" || format == "auto" && term.IsTerminal(int(os.Stderr.Fd())) // #nosec G115 -- a file descriptor
	var c zap.Config
	if console {
		c = zap.NewDevelopmentConfig()
		c.Development = false
		c.EncoderConfig.EncodeLevel = zapcore.CapitalColorLevelEncoder
		c.EncoderConfig.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		c.DisableCaller = true
	} else {
		c = zap.NewProductionConfig()
		c.EncoderConfig.TimeKey = "time"
		c.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
		c.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
		c.Sampling = nil // none of the lines of a shutdown may be missing
	}
	c.Level = zap.NewAtomicLevelAt(level)
	c.DisableStacktrace = true
	encoder := asciiEncoder{zapcore.NewJSONEncoder(c.EncoderConfig)}
	if console {
		encoder.Encoder = zapcore.NewConsoleEncoder(c.EncoderConfig)
	}
	return c.Build(zap.WrapCore(func(zapcore.Core) zapcore.Core {
		return zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), c.Level)
	}))
}
