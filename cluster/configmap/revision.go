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

// A revision is what is known about one version of a ConfigMap.
type revision struct {
	rv          string // resourceVersion; that of the deletion if the ConfigMap is gone
	uid         string
	exists      bool
	labeled     bool              // it has our label
	annotations map[string]string // values of ownAnnotations
	sums        map[string]sum    // sums of ownKeys
	foreign     int               // size of what others keep in it, in bytes
	editor      string            // field manager of the last change by somebody else
	data        map[string]string // all data; nil for parts
}

// revisionOf returns the revision of a ConfigMap. With forget it does not keep the data;
// that is for parts.
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

// version returns the resourceVersion; empty if there is no ConfigMap.
func (v *revision) version() string {
	if v.exists {
		return v.rv
	}
	return ""
}

// highest returns the highest number of a part that may exist; 0 if there is none.
func (v *revision) highest() int {
	if v == nil {
		return 0
	}
	n, err := strconv.Atoi(v.annotations[PartsAnnotation])
	if err != nil || n < 0 {
		return 0 // not written by this service
	}
	return min(n, PartNames)
}

// partOf reports whether this is a part of the main ConfigMap name. Otherwise it belongs
// to somebody else, even if it has the name of a part.
func (v *revision) partOf(name string) bool {
	return v != nil && v.exists && v.labeled && v.annotations[PartOfAnnotation] == name
}

// content is what one of our ConfigMaps should hold.
type content struct {
	sums        map[string]sum
	annotations map[string]string
	// anyWriter means that the term in which it was written does not matter.
	anyWriter bool
	// data builds the values.
	data func() map[string]string
}

// holds reports whether our keys, label and annotations in the ConfigMap are those of c,
// and no others.
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

// stale returns those of our keys and annotations in the ConfigMap that are not in c.
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
