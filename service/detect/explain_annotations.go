package detect

import (
	"maps"
	"slices"
	"strings"
)

// A Note says what an annotation does. Exactly one of Effect and Problem is set.
type Note struct {
	Key, Value      string
	Label           bool // it is a label and not an annotation
	Effect, Problem string
}

// Bounds on what a hostile Service can make an Explanation hold.
const (
	maxNotes     = 50
	maxNoteValue = 200 // bytes of a value
)

// effects say what the annotations do, besides AnnotationToolset.
var effects = map[string]string{
	AnnotationType:           "sets the type",
	AnnotationName:           "sets the name of the toolset",
	AnnotationEndpoint:       "sets the URL for agents",
	AnnotationHealthPath:     "sets the path of the health check",
	AnnotationHealthEndpoint: "sets what the health check calls",
	AnnotationPrimary:        "marks the preferred toolset of its type, or unmarks it",
	AnnotationDescription:    "sets the description for agents",
	AnnotationTenant:         "sets the tenant that agents name (X-Scope-OrgID)",
	AnnotationTLSVerify:      "says whether agents verify the certificate",
	AnnotationExternalURL:    "sets the URL for people with a browser",
}

// notes explains the annotations of a Service. Labels with the keys of annotations are a
// frequent mistake, so these are explained, too.
func (r *Rules) notes(annotations, labels map[string]string, res *Result) []Note {
	d := declared(annotations)
	var notes []Note
	add := func(n Note) {
		if len(n.Value) > maxNoteValue {
			n.Value = strings.ToValidUTF8(n.Value[:maxNoteValue], "") + "..."
		}
		if len(notes) < maxNotes {
			notes = append(notes, n)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if !strings.HasPrefix(key, annotationPrefix) {
			continue
		}
		n := Note{Key: key, Value: annotations[key]}
		for _, p := range res.Problems {
			if p.Field == key {
				n.Problem = strings.TrimPrefix(n.Problem+"; it "+p.Message, "; it ")
			}
		}
		if n.Problem == "" {
			n.Effect, n.Problem = r.effect(key, annotations, &d)
		}
		add(n)
	}
	for _, p := range res.Problems {
		if _, there := annotations[p.Field]; !there {
			add(Note{Key: p.Field, Problem: "is missing: it " + p.Message})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(key, annotationPrefix) && isOurs(key) {
			add(Note{Key: key, Value: labels[key], Label: true, Problem: labelProblem})
		}
	}
	return notes
}

func isOurs(key string) bool { return key == AnnotationToolset || effects[key] != "" }

// effect says what an annotation without a mistake does, or why it does nothing.
func (r *Rules) effect(key string, all map[string]string, d *declaration) (effect, problem string) {
	value := all[key]
	connection := key == AnnotationType || key == AnnotationEndpoint || key == AnnotationHealthPath || key == AnnotationHealthEndpoint
	switch {
	case !isOurs(key):
		return "", unknownProblem(nearest(key))
	case key == AnnotationToolset && d.off:
		return "switches the Service off: it is not listed, whatever else it is", ""
	case d.off:
		return "", "does nothing, as " + AnnotationToolset + " switches the Service off"
	case key == AnnotationToolset:
		return "declares the Service a toolset, whatever the rules find", ""
	case connection && !d.connection:
		return "", "is not used: the annotations for type, endpoint and health belong together, and another of them is wrong"
	case key == AnnotationHealthEndpoint && all[AnnotationHealthPath] != "":
		return "", "is not used, as " + AnnotationHealthPath + " has precedence"
	case key == AnnotationType && r.byType[value] == nil:
		return "sets the type; no rule knows " + value + ", so the health check only opens a connection, unless an annotation says what to call", ""
	case key == AnnotationPrimary && value == "false":
		return "does not mark it as the preferred toolset of its type, which is the same as no annotation", ""
	case key == AnnotationPrimary:
		return "marks it as the preferred toolset of its type", ""
	}
	return effects[key], ""
}
