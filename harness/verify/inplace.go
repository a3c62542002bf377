package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/harness/scenario"
)

// InPlace names a workload that runs in an existing cluster and is verified where it
// is: nothing is deployed, and nothing but the steps of the scenario is done to it.
type InPlace struct {
	Kind            string // one of rollout.Kinds
	Namespace, Name string
}

// String returns the kind, the namespace and the name, for messages.
func (p *InPlace) String() string { return p.Kind + " " + p.Namespace + "/" + p.Name }

// ParseInPlace reads KIND/NAME as kubectl does.
func ParseInPlace(text, namespace string) (*InPlace, error) {
	kind, name, ok := strings.Cut(text, "/")
	kind, _, _ = strings.Cut(strings.ToLower(kind), ".") // deployment.apps
	short := map[string]string{"deploy": rollout.Deployment, "sts": rollout.StatefulSet, "ds": rollout.DaemonSet}[kind]
	for _, k := range rollout.Kinds() {
		if kind == strings.ToLower(k) || kind == strings.ToLower(k)+"s" {
			short = k
		}
	}
	if !ok || name == "" || strings.Contains(name, "/") || short == "" {
		return nil, fmt.Errorf("%q is no flag and names no workload; write deployment/NAME, statefulset/NAME or daemonset/NAME", text)
	}
	return &InPlace{Kind: short, Namespace: namespace, Name: name}, nil
}

// settledTimeout bounds the wait for a workload that should be settled already.
const settledTimeout = 10 * time.Second

// findInPlace reads the workload and the Services of its namespace, and finds the
// target among them.
func (v *verification) findInPlace(ctx context.Context) error {
	for _, s := range v.Steps {
		if !s.Terminations || s.Nodes || s.Replicas {
			return fmt.Errorf("the scenario %q is not done to a workload that others use: rolling-restart and pod-deletion are", s.Name)
		}
	}
	p := v.InPlace
	if err := p.checkRights(ctx, v.client); err != nil {
		return err
	}
	w := rollout.Workload{Client: v.client, Kind: p.Kind, Namespace: p.Namespace, Name: p.Name}
	state, err := w.Get(ctx)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("there is no %s", p)
	}
	if err != nil {
		return fmt.Errorf("read the %s: %w", p, err)
	}
	callCtx, cancel := context.WithTimeout(ctx, settledTimeout)
	defer cancel()
	services, err := v.client.CoreV1().Services(p.Namespace).List(callCtx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list the Services of the namespace %s: %w", p.Namespace, err)
	}
	objects, err := inPlaceObjects(p, state, services.Items)
	if err != nil {
		return err
	}
	if namespace, _ := splitService(v.Service); namespace != "" && namespace != p.Namespace {
		return fmt.Errorf("the Service %s is not in the namespace of the %s", v.Service, p)
	}
	if v.target, err = findTarget(objects, &v.Options); err != nil {
		return err
	}
	if v.target.workload.name != p.Name {
		return fmt.Errorf("the Service %s selects no pods of the %s; name another one with --target", v.Service, p)
	}
	if err := v.target.fits(&v.Options); err != nil {
		return err
	}
	// Whoever rolls it out at the moment would be disturbed, and what is lost could not
	// be told apart.
	if err := w.Wait(ctx, settledTimeout, true); err != nil {
		return fmt.Errorf("before anything is done: %w", err)
	}
	return nil
}

// inPlaceObjects returns the workload and the Services that select its pods, as if they
// were manifests.
func inPlaceObjects(p *InPlace, state *rollout.State, services []corev1.Service) ([]manifest.Object, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(state.Whole)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetAPIVersion("apps/v1")
	u.SetKind(p.Kind)
	workload := manifest.Object{Unstructured: u, File: "the cluster"}
	objects := []manifest.Object{workload}
	for i := range services {
		s := &services[i]
		if len(s.Spec.Selector) == 0 || !selects(s, workload) {
			continue
		}
		if content, err = runtime.DefaultUnstructuredConverter.ToUnstructured(s); err != nil {
			return nil, err
		}
		u := &unstructured.Unstructured{Object: content}
		u.SetAPIVersion("v1")
		u.SetKind("Service")
		objects = append(objects, manifest.Object{Unstructured: u, File: "the cluster"})
	}
	if len(objects) == 1 {
		return nil, fmt.Errorf("no Service of the namespace %s selects the pods of the %s, so there is nothing to send the traffic to", p.Namespace, p)
	}
	return objects, nil
}

// ErrChanged is wrapped if others have changed the workload while it was verified.
var ErrChanged = errors.New("no verdict is possible")

// guardInterval is how often the workload is looked at.
const guardInterval = 500 * time.Millisecond

// A guard watches whether others change the workload.
type guard struct {
	workload rollout.Workload
	before   string // its specification
	at       string // the time of its last restart
}

// newGuard remembers the workload as it is.
func newGuard(ctx context.Context, w rollout.Workload) (*guard, error) {
	state, err := w.Get(ctx)
	if err != nil {
		return nil, err
	}
	spec, err := specification(state)
	return &guard{workload: w, before: spec, at: state.Template.Annotations[scenario.RestartedAt]}, err
}

// watch returns an error if others change the workload, or nil when ctx ends. The
// values in restarts are those of restarts of our own.
func (g *guard) watch(ctx context.Context, restarts func() []string) error {
	tick := time.NewTicker(guardInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		state, err := g.workload.Get(ctx)
		switch {
		case apierrors.IsNotFound(err):
			return fmt.Errorf("the %s was deleted by others while it was verified: %w", &g.workload, ErrChanged)
		case err != nil:
			continue // the API server may be away for a moment
		}
		spec, err := specification(state)
		if err != nil {
			return err
		}
		at := state.Template.Annotations[scenario.RestartedAt]
		if spec != g.before || at != g.at && !slices.Contains(restarts(), at) {
			return fmt.Errorf("the %s was changed by others (%s) while it was verified: %w; it was left as they made it", &g.workload, lastManager(state), ErrChanged)
		}
	}
}

// specification returns what a workload specifies, without the time of a restart.
func specification(s *rollout.State) (string, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(s.Whole)
	if err != nil {
		return "", err
	}
	spec, _ := content["spec"].(map[string]any)
	unstructured.RemoveNestedField(spec, "template", "metadata", "annotations", scenario.RestartedAt)
	if rest, _, _ := unstructured.NestedMap(spec, "template", "metadata", "annotations"); len(rest) == 0 {
		unstructured.RemoveNestedField(spec, "template", "metadata", "annotations")
	}
	text, err := json.Marshal(spec)
	return string(text), err
}

// lastManager returns who has changed a workload last, as far as the API server knows.
func lastManager(s *rollout.State) string {
	name, at := "unknown", time.Time{}
	for _, m := range s.Object.ManagedFields {
		if m.Time != nil && m.Subresource == "" && !m.Time.Time.Before(at) {
			name, at = m.Manager, m.Time.Time
		}
	}
	return name
}
