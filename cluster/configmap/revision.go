package configmap

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/cluster"
)

// A revision is what matters of a ConfigMap, as it was seen at one of its versions.
type revision struct {
	rv          string // resourceVersion; of the deletion, if it is gone
	uid         string
	exists      bool
	labeled     bool              // as ours
	annotations map[string]string // those of ownAnnotations
	sums        map[string]sum    // of ownKeys
	foreign     int               // size of what others keep in it, bytes
	editor      string            // field manager of the last change that is not ours
	data        map[string]string // all of it; nil for parts
}

// revisionOf returns one of the main ConfigMap or, by forget, of a part, whose data
// are not kept.
func revisionOf(cm *corev1.ConfigMap, forget bool) *revision {
	v := &revision{
		rv: cm.ResourceVersion, uid: string(cm.UID), exists: true, labeled: cm.Labels[cluster.ManagedByLabel] == cluster.FieldManager,
		annotations: map[string]string{}, sums: map[string]sum{}, data: cm.Data,
	}
	for _, key := range ownAnnotations {
		if value, ok := cm.Annotations[key]; ok {
			v.annotations[key] = value
		}
	}
	for key, value := range cm.Data {
		if slices.Contains(ownKeys, key) {
			v.sums[key] = sha256.Sum256([]byte(value))
		} else {
			v.foreign += len(value)
		}
	}
	for _, value := range cm.BinaryData {
		v.foreign += len(value)
	}
	var last time.Time
	for _, m := range cm.ManagedFields {
		if m.Time != nil && !m.Time.Time.Before(last) && m.Manager != cluster.FieldManager {
			last, v.editor = m.Time.Time, m.Manager
		}
	}
	if forget {
		v.data = nil
	}
	return v
}

// version is the ConfigMap's resourceVersion; empty if there is none.
func (v *revision) version() string {
	if v.exists {
		return v.rv
	}
	return ""
}

// highest is the highest part that may exist, 0 if there is none.
func (v *revision) highest() int {
	if v == nil {
		return 0
	}
	n, err := strconv.Atoi(v.annotations[PartsAnnotation])
	if err != nil || n < 0 {
		return 0 // somebody else's
	}
	return min(n, PartNames)
}

// partOf reports whether it is a part of the main ConfigMap name. What is not is
// somebody else's, whatever it is called.
func (v *revision) partOf(name string) bool {
	return v != nil && v.exists && v.labeled && v.annotations[PartOfAnnotation] == name
}

// content is what one of our ConfigMaps is to hold.
type content struct {
	sums        map[string]sum
	annotations map[string]string
	// anyWriter: by whom it was written does not matter.
	anyWriter bool
	// data puts the values together.
	data func() map[string]string
}

// holds reports whether our share of the ConfigMap is c, and nothing besides.
func (v *revision) holds(c *content) bool {
	if v == nil || !v.exists || !v.labeled || !maps.Equal(v.sums, c.sums) {
		return false
	}
	for _, key := range ownAnnotations {
		if key == WriterAnnotation && c.anyWriter {
			continue
		}
		now, is := v.annotations[key]
		then, want := c.annotations[key]
		if is != want || now != then {
			return false
		}
	}
	return true
}

// stale returns what the ConfigMap has of ours, by key and by annotation, that c has
// not.
func (v *revision) stale(c *content) (keys, annotations []string) {
	for key := range v.sums {
		if _, ok := c.sums[key]; !ok {
			keys = append(keys, key)
		}
	}
	for key := range v.annotations {
		if _, ok := c.annotations[key]; !ok && !(key == WriterAnnotation && c.anyWriter) {
			annotations = append(annotations, key)
		}
	}
	return keys, annotations
}
