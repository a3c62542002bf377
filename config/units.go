package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

// A byteSize is a number of bytes, written like "1MiB". It implements pflag.Value.
type byteSize int

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	// The suffixes of Kubernetes quantities.
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30},
	{"k", 1e3}, {"K", 1 << 10}, {"M", 1e6}, {"G", 1e9}, {"B", 1},
}

var errSize = errors.New("not a size")

// Set parses a whole number of bytes with an optional unit.
func (b *byteSize) Set(text string) error {
	number, unit := strings.TrimSpace(text), int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt32/unit {
		return errSize
	}
	*b = byteSize(n * unit)
	return nil
}

// String returns the size in the largest unit that divides it.
func (b *byteSize) String() string {
	n := int64(*b)
	for _, u := range sizeUnits[:3] {
		if m := n / u.bytes; n > 0 && n%u.bytes == 0 && m < 1024 {
			return strconv.FormatInt(m, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// Type names the type in pflag.
func (b *byteSize) Type() string { return "size" }
