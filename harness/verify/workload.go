package verify

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// A workload is a Deployment, a StatefulSet or a DaemonSet.
type workload struct {
	kind, namespace, name string
	*rollout.State        // as the manifest says
}

func (w *workload) String() string { return w.kind + " " + w.name }

// findWorkload finds the workload behind the Service.
func (t *target) findWorkload(objects []manifest.Object) error {
	var others []string // kinds that no rollout replaces
	for _, object := range objects {
		if namespaceOf(object) != t.service.Namespace || !selects(t.service, object) {
			continue
		}
		w, err := workloadOf(object)
		if err != nil {
			return err
		}
		if w == nil {
			others = append(others, object.GetKind()+" "+object.GetName())
			continue
		}
		if t.workload.State != nil {
			return fmt.Errorf("the Service %s selects the pods of two workloads, %s and %s: name another Service, or leave one of them out", t.service.Name, &t.workload, w)
		}
		t.workload = *w
	}
	switch {
	case t.workload.State != nil:
		return nil
	case len(others) > 0:
		return fmt.Errorf("the Service %s selects the pods of %s, and only a %s has a rollout", t.service.Name, format.Names(others), strings.Join(rollout.Kinds(), ", "))
	}
	return fmt.Errorf("no Deployment, StatefulSet or DaemonSet in the manifests has pods that the Service %s selects", t.service.Name)
}

// selects reports whether a Service selects the pods of an object.
func selects(s *corev1.Service, o manifest.Object) bool {
	path := []string{"spec", "template", "metadata", "labels"}
	if o.GetKind() == "Pod" {
		path = path[2:]
	}
	has, found, err := unstructured.NestedStringMap(o.Object, path...)
	return err == nil && found && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(has))
}

// workloadOf returns the workload that an object describes, or nil if it is none.
func workloadOf(o manifest.Object) (*workload, error) {
	w := &workload{kind: o.GetKind(), namespace: namespaceOf(o), name: o.GetName()}
	var err error
	switch gvk := o.GroupVersionKind(); {
	case gvk.Group != appsv1.GroupName:
		return nil, nil
	case gvk.Kind == rollout.Deployment:
		var d appsv1.Deployment
		err = convert(o, &d)
		w.State = rollout.OfDeployment(&d)
	case gvk.Kind == rollout.StatefulSet:
		var s appsv1.StatefulSet
		err = convert(o, &s)
		w.State = rollout.OfStatefulSet(&s)
	case gvk.Kind == rollout.DaemonSet:
		var d appsv1.DaemonSet
		err = convert(o, &d)
		w.State = rollout.OfDaemonSet(&d)
	default:
		return nil, nil
	}
	if err == nil && w.Selector == nil {
		err = fmt.Errorf("the %s has no selector", w)
	}
	return w, err
}

// fits returns an error if something that is asked for can't be done with this kind of
// workload.
func (t *target) fits(o *Options) error {
	w := &t.workload
	if w.kind == rollout.DaemonSet && o.Replicas > 0 {
		return fmt.Errorf("--replicas means nothing for the %s, which has a pod on each node: see --nodes", w)
	}
	if w.Paused {
		return fmt.Errorf("the %s is paused: nothing would be rolled out; remove spec.paused", w)
	}
	for _, s := range o.Steps {
		switch {
		case s.Replicas && w.kind == rollout.DaemonSet:
			return fmt.Errorf("the scenario %q means nothing for the %s, which has a pod on each node", s.Name, w)
		case s.Rollout && w.OnDelete:
			return fmt.Errorf("the %s has the update strategy OnDelete, so a rollout restarts no pod: use --scenario pod-deletion", w)
		}
	}
	return nil
}
