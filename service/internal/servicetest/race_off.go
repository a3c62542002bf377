//go:build !race

package servicetest

// Shorter divides the lengths of random lives.
const Shorter = 1
