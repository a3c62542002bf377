//go:build race

package testenv

// Race reports whether the race detector is on. It allocates, and makes computations 5 to
// 20 times slower; make test runs the tests that skip because of that once more without
// it.
const Race = true
