package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/dynamic-toolset/harness/conntrack"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/observe"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// maxWatched bounds the nodes whose connection tracking is read for a proxy.
const maxWatched = 10

// A viaPath is the proxy in the path of a run in progress.
type viaPath struct {
	target   *target // its Service and its workload
	observer *observe.Observer
	views    []nodeView // of the nodes on which its pods may be
}

// viaOptions are the options by which the proxy is found among its own objects.
func (o *Options) viaOptions() *Options { return &Options{Service: o.ViaService, Port: o.ViaPort} }

// readVia reads the manifests of the proxy in the path of a target, or makes them.
func (o *Options) readVia(t *target, existing bool) error {
	if o.Via == nil {
		return nil
	}
	var objects []manifest.Object
	var err error
	if len(o.Via.Manifests) > 0 {
		objects, err = manifest.Read(o.Via.Manifests...)
	} else {
		var text []byte
		if text, err = o.Via.Manifest(t.service.Namespace, fmt.Sprintf("%s:%d", t.service.Name, t.port.Port)); err == nil {
			objects, err = manifest.Parse(text, "--via "+o.Via.Kind)
		}
	}
	if err != nil {
		return fmt.Errorf("--via: %w", err)
	}
	objects, left := manifest.Clean(objects)
	objects, notes, err := manifest.Select(objects, !existing)
	if err != nil {
		return fmt.Errorf("--via: %w", err)
	}
	proxy, err := findTarget(objects, o.viaOptions())
	if err != nil {
		return fmt.Errorf("the proxy (--via; its Service is named by --via-target): %w", err)
	}
	if err := proxy.checkReferences(objects); err != nil {
		return fmt.Errorf("--via: %w", err)
	}
	if proxy.workload.kind == t.workload.kind && proxy.workload.name == t.workload.name && proxy.workload.namespace == t.workload.namespace {
		return fmt.Errorf("the %s is both the target and the proxy before it (--via)", &t.workload)
	}
	o.viaObjects = objects
	o.Notes = append(o.Notes, append(left, notes...)...)
	return nil
}

// loadAddress returns where the load is sent.
func (v *verification) loadAddress() string {
	if v.via != nil {
		return v.run.Via.Target.Address
	}
	return v.run.Target.Address
}

// startVia applies the proxy, and waits until it is ready. The target must be.
func (v *verification) startVia(ctx context.Context) error {
	if v.Via == nil {
		return nil
	}
	v.via = &viaPath{}
	// Linux tells only of connections that were made while somebody listened, and a proxy may
	// keep what it opens first.
	v.watch(ctx, v.watchVia)
	objects := v.viaObjects
	v.run.Notes = append(v.run.Notes, v.useLoaded(objects)...)
	if !v.cluster.Shared() {
		objects = withNamespaces(objects)
	}
	objects, err := v.fitObjects(objects)
	if err != nil {
		return err
	}
	t, err := findTarget(objects, v.viaOptions())
	if err != nil {
		return err
	}
	named, err := v.namesResolve(ctx)
	if err != nil {
		return err
	}
	if !named {
		if v.Via.Resolves() {
			return errors.New("the proxy's configuration asks a name server while it runs (resolver, resolvers), and this cluster has none: use --cluster kind, or have it resolve the name of the Service once, at its start")
		}
		if err := v.aliases(ctx, t, objects); err != nil {
			return err
		}
	}
	v.Say("putting the %s in the path", &t.workload)
	v.applied = append(slices.Clone(v.applied), without(slices.Clone(objects), v.applied)...)
	if err := v.applier.Apply(ctx, objects); err != nil {
		return fmt.Errorf("--via: %w", err)
	}
	d := t.rollout(v.client)
	if err := d.Wait(ctx, v.ReadyTimeout, true); err != nil {
		return fmt.Errorf("the proxy (--via): %w", err)
	}
	v.via.target = t
	return nil
}

// namesResolve reports whether the cluster has a name server. If that can't be asked, it
// has one, as all but simulated ones do.
func (v *verification) namesResolve(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := v.client.CoreV1().Services(metav1.NamespaceSystem).Get(ctx, "kube-dns", metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return v.cluster.Shared(), nil // others give theirs another name
	case apierrors.IsForbidden(err):
		return true, nil
	}
	return true, err
}

// aliases gives the proxy's pods the names of the applied Services, as a name server would
// at the time of their start. The names of a headless one are those of its pods.
func (v *verification) aliases(ctx context.Context, t *target, objects []manifest.Object) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var aliases []any
	for _, o := range v.applied {
		if o.GetKind() != "Service" {
			continue
		}
		namespace, name := namespaceOf(o), o.GetName()
		addresses, err := v.addressesOf(ctx, namespace, name)
		if err != nil {
			return err
		}
		names := []any{name + "." + namespace, name + "." + namespace + ".svc", name + "." + namespace + ".svc.cluster.local"}
		if namespace == t.workload.namespace {
			names = append(names, name)
		}
		for _, a := range addresses {
			aliases = append(aliases, map[string]any{"ip": a, "hostnames": names})
		}
	}
	workload, err := t.among(objects)
	if err != nil {
		return err
	}
	path := []string{"spec", "template", "spec", "hostAliases"}
	own, _, err := unstructured.NestedSlice(workload.Object, path...)
	if err != nil {
		return err
	}
	return unstructured.SetNestedSlice(workload.Object, append(own, aliases...), path...)
}

// addressesOf returns what a Service's name means.
func (v *verification) addressesOf(ctx context.Context, namespace, name string) ([]string, error) {
	s, err := v.client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if s.Spec.ClusterIP != corev1.ClusterIPNone {
		return []string{s.Spec.ClusterIP}, nil
	}
	found, err := v.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + name})
	if err != nil {
		return nil, err
	}
	var addresses []string
	for i := range found.Items {
		for _, e := range found.Items[i].Endpoints {
			addresses = append(addresses, e.Addresses...)
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), nil
}

// describeVia records what the proxy is.
func (v *verification) describeVia(ctx context.Context) error {
	if v.via == nil {
		return nil
	}
	t := v.via.target
	address, err := t.address(ctx, v.client)
	if err != nil {
		return err
	}
	d := t.rollout(v.client)
	state, err := d.Get(ctx)
	if err != nil {
		return err
	}
	v.run.Via = &record.Via{Kind: v.Via.Kind, Target: record.Target{
		Name: d.Namespace + "/" + d.Name, Kind: t.workload.kind, Image: t.container.Image, Address: address, Paths: v.Traffic.Paths, Replicas: int(state.Replicas),
	}}
	describeContainer(&v.run.Via.Target, &t.workload.Template.Spec, t.container)
	v.run.Via.Target.Port = t.podPort()
	what := v.Via.Kind
	if what == "" {
		what = "of " + strings.Join(v.Via.Manifests, ", ")
	}
	v.run.Notes = append(v.run.Notes, fmt.Sprintf("The load went through a proxy, the %s (%s).", &t.workload, what))
	return nil
}

// observeVia begins to watch the proxy's pods.
func (v *verification) observeVia(ctx context.Context) error {
	if v.via == nil {
		return nil
	}
	t := v.via.target
	var err error
	v.via.observer, err = observe.Start(ctx, observe.Options{
		Client: v.client, Namespace: t.workload.namespace, Selector: t.selector, Service: t.service.Name, Container: t.container.Name,
		Dial: v.cluster.DialContext, Port: t.podPort(),
	})
	return err
}

// stopVia ends that, and records the pods.
func (v *verification) stopVia() {
	if v.via == nil || v.via.observer == nil {
		return
	}
	v.via.observer.Stop()
	v.run.Via.Pods = v.via.observer.Pods()
	v.via.observer = nil
}

// watchVia begins to collect what becomes of the proxy's connections to the pods.
func (v *verification) watchVia(ctx context.Context) error {
	nodes, err := v.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var names []string
	for i := range nodes.Items {
		if n := &nodes.Items[i]; !n.Spec.Unschedulable && !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoSchedule }) {
			names = append(names, n.Name)
		}
	}
	if len(names) > maxWatched {
		return fmt.Errorf("the proxy's pods may be on any of %d nodes, and at most %d are watched", len(names), maxWatched)
	}
	filter := conntrack.Filter{Port: uint16(v.target.podPort())} // #nosec G115 -- a port
	for i, name := range names {
		view := nodeView{}
		if view.pod, err = v.startWatcher(ctx, fmt.Sprintf("connections-%d", i), name); err != nil {
			return err
		}
		view.trace, err = conntrack.Follow(ctx, v.cluster.DialContext, view.pod.Address, filter)
		v.via.views = append(v.via.views, view)
		if err != nil {
			return err
		}
	}
	return nil
}
