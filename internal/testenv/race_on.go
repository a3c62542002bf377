//go:build race

package testenv

// Race reports whether the race detector is on: it allocates, and makes what computes 5 to 20
// times slower. make test runs once without it what skips for that.
const Race = true
