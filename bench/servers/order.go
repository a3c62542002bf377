package main

import "kubernaut.io/dynamic-toolset/bench/internal/comparison"

// turns returns the order in which the servers are measured in a round. Ours and the
// reference follow one another, because their ratio matters. From round to round it changes
// which of them is first, their place among the others, and which of the others is first.
func turns(names []string, round int) []string {
	var pair, others []string
	for _, n := range names {
		switch n {
		case comparison.Ours, comparison.OursAuthenticated, comparison.Reference:
			pair = append(pair, n)
		default:
			others = append(others, n)
		}
	}
	pair = rotate(pair, round)
	others = rotate(others, round)
	at := 0
	if len(others) > 0 {
		at = round % (len(others) + 1)
	}
	return append(append(append([]string{}, others[:at]...), pair...), others[at:]...)
}

func rotate(names []string, by int) []string {
	if len(names) == 0 {
		return nil
	}
	by %= len(names)
	return append(append([]string{}, names[by:]...), names[:by]...)
}
