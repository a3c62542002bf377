//go:build race

package servicetest

// Shorter divides the lengths of random lives: the race detector makes compressing twenty
// times slower.
const Shorter = 8
