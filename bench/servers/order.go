package main

import "kubernaut.io/dynamic-toolset/bench/internal/comparison"

// turns returns in which order the servers are measured in a round. Ours and the
// reference follow one another, as their ratio is what counts: who of them is first
// changes from round to round, as does where they stand among the others, and who of
// the others is first.
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
