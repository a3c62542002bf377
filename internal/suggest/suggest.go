// Package suggest finds the name that somebody has most likely meant.
package suggest

import "strings"

// Most is the length of the longest name that Of looks for. No name in this program is as
// long.
const Most = 64

// Of returns the first of the candidates that are most similar to name; empty if none is
// similar.
func Of(name string, candidates []string) string {
	if len(name) > Most {
		return ""
	}
	name = strings.ToLower(name)
	best, nearest := max(2, len(name)/3)+1, ""
	for _, c := range candidates {
		if d := distance(name, c); d < best {
			best, nearest = d, c
		}
	}
	return nearest
}

// distance returns how many letters must be inserted, removed, replaced, or swapped with
// their neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
