package rollout

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// The kinds of workloads that replace their pods in a rollout.
const (
	Deployment  = "Deployment"
	StatefulSet = "StatefulSet"
	DaemonSet   = "DaemonSet"
)

// Kinds returns the kinds of workloads that have a rollout.
func Kinds() []string { return []string{Deployment, StatefulSet, DaemonSet} }

// Workload names a workload in a cluster.
type Workload struct {
	Client          kubernetes.Interface
	Kind            string // one of Kinds; empty: a Deployment
	Namespace, Name string
}

// State is what the API server says about a workload.
type State struct {
	Object metav1.ObjectMeta
	// Whole is the object: an appsv1.Deployment, for example.
	Whole any
	// Replicas is how many pods it should have: for a DaemonSet, as many as there are
	// nodes for it.
	Replicas int32
	Template corev1.PodTemplateSpec
	Selector *metav1.LabelSelector
	// OnDelete: a rollout replaces no pod by itself.
	OnDelete bool
	// Paused: nothing is rolled out.
	Paused bool
	// Failed is why no pods can be made; empty: they can.
	Failed string

	observed           bool // the status is about the present specification
	updated, available int32
	others             int32 // pods of other versions
	partition          int32 // pods of a StatefulSet that stay as they are
}

// String returns the kind, the namespace and the name, for messages.
func (w *Workload) String() string { return w.kind() + " " + w.Namespace + "/" + w.Name }

func (w *Workload) kind() string {
	if w.Kind == "" {
		return Deployment
	}
	return w.Kind
}

// Get reads the workload.
func (w *Workload) Get(ctx context.Context) (*State, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	apps := w.Client.AppsV1()
	switch w.kind() {
	case Deployment:
		d, err := apps.Deployments(w.Namespace).Get(ctx, w.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return OfDeployment(d), nil
	case StatefulSet:
		s, err := apps.StatefulSets(w.Namespace).Get(ctx, w.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return OfStatefulSet(s), nil
	case DaemonSet:
		d, err := apps.DaemonSets(w.Namespace).Get(ctx, w.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return OfDaemonSet(d), nil
	}
	return nil, fmt.Errorf("a %s has no rollout", w.Kind)
}

// Patch changes the workload by a strategic merge patch.
func (w *Workload) Patch(ctx context.Context, patch []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	apps, how, o := w.Client.AppsV1(), types.StrategicMergePatchType, metav1.PatchOptions{}
	var err error
	switch w.kind() {
	case Deployment:
		_, err = apps.Deployments(w.Namespace).Patch(ctx, w.Name, how, patch, o)
	case StatefulSet:
		_, err = apps.StatefulSets(w.Namespace).Patch(ctx, w.Name, how, patch, o)
	case DaemonSet:
		_, err = apps.DaemonSets(w.Namespace).Patch(ctx, w.Name, how, patch, o)
	default:
		err = fmt.Errorf("a %s has no rollout", w.Kind)
	}
	return err
}

// OfDeployment returns the state of a Deployment.
func OfDeployment(d *appsv1.Deployment) *State {
	s := &State{
		Object: d.ObjectMeta, Whole: d, Replicas: orOne(d.Spec.Replicas), Template: d.Spec.Template, Selector: d.Spec.Selector, Paused: d.Spec.Paused,
		observed: d.Status.ObservedGeneration >= d.Generation, updated: d.Status.UpdatedReplicas, available: d.Status.AvailableReplicas,
		others: d.Status.Replicas - d.Status.UpdatedReplicas,
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			s.Failed = c.Reason + ": " + c.Message
		}
	}
	return s
}

// OfStatefulSet returns the state of a StatefulSet.
func OfStatefulSet(o *appsv1.StatefulSet) *State {
	s := &State{
		Object: o.ObjectMeta, Whole: o, Replicas: orOne(o.Spec.Replicas), Template: o.Spec.Template, Selector: o.Spec.Selector,
		OnDelete: o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType,
		observed: o.Status.ObservedGeneration >= o.Generation, updated: o.Status.UpdatedReplicas, available: o.Status.AvailableReplicas,
	}
	if r := o.Spec.UpdateStrategy.RollingUpdate; r != nil && r.Partition != nil {
		s.partition = *r.Partition
	}
	// Until the controller has seen a new template, the status has the old revision
	// twice.
	if o.Status.UpdateRevision == o.Status.CurrentRevision {
		s.updated = o.Status.Replicas
	}
	return s
}

// OfDaemonSet returns the state of a DaemonSet.
func OfDaemonSet(o *appsv1.DaemonSet) *State {
	return &State{
		Object: o.ObjectMeta, Whole: o, Replicas: o.Status.DesiredNumberScheduled, Template: o.Spec.Template, Selector: o.Spec.Selector,
		OnDelete: o.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType,
		observed: o.Status.ObservedGeneration >= o.Generation && o.Generation > 0, updated: o.Status.UpdatedNumberScheduled, available: o.Status.NumberAvailable,
	}
}

func orOne(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// progress reports whether the rollout is complete, in the sense of kubectl rollout
// status.
func (s *State) progress(pods []corev1.Pod, settled bool) (done bool, text string) {
	want := max(s.Replicas-s.partition, 0)
	text = fmt.Sprintf("%d of %d replicas are new, %d available", s.updated, want, s.available)
	if !s.observed || s.updated < want || s.others > 0 || s.available < s.Replicas {
		return false, text
	}
	if !settled {
		return true, text
	}
	return len(pods) == int(s.Replicas), fmt.Sprintf("%s, %d pods in all", text, len(pods))
}
