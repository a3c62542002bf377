//go:build !race

package service

const shorter = 1
