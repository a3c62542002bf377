package detect

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/internal/suggest"
)

// Bounds on what one Service can make others read in the log, and on the keys that are
// compared with all names, which takes time.
const (
	maxUnread   = 10
	maxCompared = 20
)

const labelProblem = "is a label, and labels with this key are not read; write it as an annotation"

// unread returns the annotations that nobody reads, but which are most likely misspelt, and
// the labels that should be annotations. Other keys with the prefix are left alone: they are
// those of other programs.
func unread(annotations, labels map[string]string) (all []Problem) {
	for key := range annotations {
		if strings.HasPrefix(key, annotationPrefix) && !isOurs(key) {
			all = append(all, Problem{Field: key})
		}
	}
	slices.SortFunc(all, func(a, b Problem) int { return strings.Compare(a.Field, b.Field) })
	all = all[:min(len(all), maxCompared)]
	for i := range all {
		if near := nearest(all[i].Field); near != "" || strings.HasPrefix(all[i].Field, AnnotationToolset+"-") {
			all[i].Message = unknownProblem(near)
		}
	}
	all = slices.DeleteFunc(all, func(p Problem) bool { return p.Message == "" })
	for key := range labels {
		if strings.HasPrefix(key, annotationPrefix) && isOurs(key) {
			all = append(all, Problem{key, labelProblem})
		}
	}
	slices.SortFunc(all, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(a.Message, b.Message))
	})
	return all[:min(len(all), maxUnread)]
}

// unknownProblem says what is wrong with an annotation that is not one of ours; near is the
// nearest that is, or empty.
func unknownProblem(near string) string {
	if near != "" {
		return "is not known and does nothing; did you mean " + near + "?"
	}
	return "is not known and does nothing"
}

// nearest returns the annotation that was most likely meant by a key; empty if none was. The
// prefix, which all share, would make any key look alike.
func nearest(key string) string {
	names := slices.Sorted(maps.Keys(effects))
	names = append(names, AnnotationToolset)
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], annotationPrefix)
	}
	if near := suggest.Of(strings.TrimPrefix(key, annotationPrefix), names); near != "" {
		return annotationPrefix + near
	}
	return ""
}
