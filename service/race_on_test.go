//go:build race

package service

// The race detector makes compressing twenty times slower: random lives are shorter
// with it.
const shorter = 8
