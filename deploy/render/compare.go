package render

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// ignoredLabels are labels of objects (not of pods) in which two ways of installing may
// differ. By Helm's convention they say what has made an object.
var ignoredLabels = []string{"helm.sh/chart", "app.kubernetes.io/managed-by"}

// namedLists are lists in which the order of the items has no meaning; the value is the
// field that identifies an item, as Kubernetes merges them.
var namedLists = map[string]string{"env": "name", "topologySpreadConstraints": "topologyKey"}

// Compare returns the differences between a and b: a line for each object that only one
// of them has, with "+" for b and "-" for a, and a line for each field with two values.
// It ignores the labels helm.sh/chart and app.kubernetes.io/managed-by, and the order of
// objects, of environment variables and of topology spread constraints.
func Compare(a, b []manifest.Object) []string {
	left, right := byID(a), byID(b)
	var differences []string
	for _, id := range union(left, right) {
		switch x, y := left[id], right[id]; {
		case y == nil:
			differences = append(differences, "- "+id)
		case x == nil:
			differences = append(differences, "+ "+id)
		default:
			differences = append(differences, compareValues(id+":", content(x), content(y))...)
		}
	}
	return differences
}

// ID returns a name for an object of any kind: "apps/v1 Deployment
// kubernaut-system/name".
func ID(o manifest.Object) string { return o.GetAPIVersion() + " " + o.String() }

func byID(objects []manifest.Object) map[string]*manifest.Object {
	m := map[string]*manifest.Object{}
	for i := range objects {
		m[ID(objects[i])] = &objects[i]
	}
	return m
}

// content returns the content of an object without what Compare ignores.
func content(o *manifest.Object) map[string]any {
	c := o.DeepCopy()
	for _, l := range ignoredLabels {
		unstructured.RemoveNestedField(c.Object, "metadata", "labels", l)
	}
	return c.Object
}

func compareValues(at string, a, b any) []string {
	if x, ok := a.(map[string]any); ok {
		if y, ok := b.(map[string]any); ok {
			var differences []string
			for _, key := range union(x, y) {
				xv, inX := x[key]
				yv, inY := y[key]
				switch path := at + "." + key; {
				case !inY:
					differences = append(differences, fmt.Sprintf("%s: %s, and nothing", path, shown(xv)))
				case !inX:
					differences = append(differences, fmt.Sprintf("%s: nothing, and %s", path, shown(yv)))
				default:
					if field, named := namedLists[key]; named {
						xv, yv = byField(xv, field), byField(yv, field)
					}
					differences = append(differences, compareValues(path, xv, yv)...)
				}
			}
			return differences
		}
	}
	if x, ok := a.([]any); ok {
		if y, ok := b.([]any); ok && len(x) == len(y) {
			var differences []string
			for i := range x {
				differences = append(differences, compareValues(fmt.Sprintf("%s[%d]", at, i), x[i], y[i])...)
			}
			return differences
		}
	}
	if x, y := shown(a), shown(b); x != y {
		return []string{fmt.Sprintf("%s: %s, and %s", at, x, y)}
	}
	return nil
}

// byField turns a list into a map by the field that identifies its items. Any other value
// is returned unchanged.
func byField(value any, field string) any {
	list, ok := value.([]any)
	if !ok {
		return value
	}
	m := map[string]any{}
	for _, item := range list {
		object, ok := item.(map[string]any)
		name, named := object[field].(string)
		if _, twice := m[name]; !ok || !named || twice {
			return value
		}
		m[name] = object
	}
	return m
}

// shown formats a value for a message, as JSON.
func shown(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // it comes from JSON
		return fmt.Sprint(v)
	}
	return string(text)
}

func union[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.SortFunc(keys, strings.Compare)
	return slices.Compact(keys)
}
