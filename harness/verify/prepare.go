package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/image"
	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// prepare brings up the target and the load generator, and waits until both are ready.
func (v *verification) prepare(ctx context.Context) error {
	if v.cluster == nil {
		return errors.New("no cluster")
	}
	for _, s := range v.Steps {
		if _, ok := v.cluster.(cluster.Faults); s.Faults && !ok {
			return fmt.Errorf("%w: the scenario %q needs a simulated cluster (--cluster sim)", cluster.ErrUnsupported, s.Name)
		}
		if s.Nodes && v.cluster.Shared() {
			return fmt.Errorf("%w: the scenario %q touches a node, which others use too: it needs a cluster of its own (--cluster sim or kind)", cluster.ErrUnsupported, s.Name)
		}
	}
	if v.InPlace != nil {
		if err := v.findInPlace(ctx); err != nil {
			return err
		}
		var err error
		if v.agent, err = v.startAgent(ctx); err != nil {
			return err
		}
		return v.describe(ctx)
	}
	if v.objects == nil {
		if err := v.Read(nil, v.cluster.Shared()); err != nil {
			return err
		}
	}
	v.run.Notes = append(v.run.Notes, v.Notes...)
	objects := v.objects
	var err error
	if v.target, err = findTarget(objects, &v.Options); err != nil {
		return err
	}
	if v.Replicas > 0 {
		if err := v.target.setReplicas(objects, v.Replicas); err != nil {
			return err
		}
	}
	if v.Image != "" {
		if err := v.target.setImage(objects, v.Image); err != nil {
			return err
		}
	}
	if v.Patch != "" {
		if err := v.target.patch(objects, v.Patch); err != nil {
			return err
		}
	}
	v.run.Notes = append(v.run.Notes, v.useLoaded(objects)...)
	objects = append(without(v.around, objects), objects...)
	if !v.cluster.Shared() {
		objects = withNamespaces(objects)
	}
	if objects, err = v.fit(objects); err != nil {
		return err
	}
	if v.applier, err = manifest.NewApplier(v.cluster.RESTConfig()); err != nil {
		return err
	}
	for _, i := range v.Images {
		if err := v.cluster.LoadImage(ctx, i); err != nil {
			return fmt.Errorf("load the image %s: %w", i.Name, err)
		}
	}
	v.Say("applying %d objects", len(objects))
	v.applied = objects
	if err := v.applier.Apply(ctx, objects); err != nil {
		return err
	}
	d := v.target.rollout(v.client)
	v.Say("waiting for the %s", &d)
	if err := d.Wait(ctx, v.ReadyTimeout, true); err != nil {
		return err
	}
	if v.agent, err = v.startAgent(ctx); err != nil {
		return err
	}
	if err := v.startVia(ctx); err != nil {
		return err
	}
	if err := v.describe(ctx); err != nil {
		return err
	}
	if err := v.describeVia(ctx); err != nil {
		return err
	}
	v.watchNode(ctx)
	return nil
}

// fit has the cluster's driver change the objects as it needs, and finds the target
// again in the result.
func (v *verification) fit(objects []manifest.Object) ([]manifest.Object, error) {
	objects, err := v.fitObjects(objects)
	if err != nil {
		return nil, err
	}
	if namespace, name := splitService(v.Service); namespace != "" && v.cluster.Shared() {
		v.Service = name // Fit may have changed its namespace
	}
	v.target, err = findTarget(objects, &v.Options)
	return objects, err
}

func (v *verification) fitObjects(objects []manifest.Object) ([]manifest.Object, error) {
	plain, from := make([]*unstructured.Unstructured, len(objects)), map[*unstructured.Unstructured]string{}
	for i, o := range objects {
		plain[i], from[o.Unstructured] = o.Unstructured, o.File
	}
	fitted, notes, err := v.cluster.Fit(plain)
	if err != nil {
		return nil, err
	}
	v.run.Notes = append(v.run.Notes, notes...)
	objects = nil
	for _, o := range fitted {
		objects = append(objects, manifest.Object{Unstructured: o, File: from[o]})
	}
	return objects, nil
}

// startAgent starts the load generator's pod, and returns when it answers.
func (v *verification) startAgent(ctx context.Context) (*agentpod.Pod, error) {
	image := v.AgentImage
	if image == "" {
		image = agentpod.Image
		if err := v.cluster.LoadImage(ctx, agentpod.ImageOf(v.AgentBinary)); err != nil {
			return nil, fmt.Errorf("load the image of the load generator: %w", err)
		}
	}
	return agentpod.Start(ctx, agentpod.Options{
		Client: v.client, Namespace: v.cluster.Namespace(), Name: "load", Image: image,
		Dial: func(ctx context.Context, pod *corev1.Pod) (net.Conn, error) {
			return v.cluster.DialContext(ctx, "tcp", net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(agentpod.Port)))
		},
	})
}

// without returns the objects that are not among others.
func without(objects, others []manifest.Object) []manifest.Object {
	return slices.DeleteFunc(objects, func(a manifest.Object) bool {
		return slices.ContainsFunc(others, func(b manifest.Object) bool {
			return a.GroupVersionKind().GroupKind() == b.GroupVersionKind().GroupKind() && namespaceOf(a) == namespaceOf(b) && a.GetName() == b.GetName()
		})
	})
}

// describe records what is verified, and where.
func (v *verification) describe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	version, err := v.client.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	v.run.Cluster = record.Cluster{Driver: v.cluster.Name(), Kubernetes: version.GitVersion}
	nodes, err := v.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err) && v.cluster.Shared():
		v.run.Notes = append(v.run.Notes, "The cluster's nodes are not named: the user may not list them.")
	case err != nil:
		return err
	default:
		for i := range nodes.Items {
			v.run.Cluster.Nodes = append(v.run.Cluster.Nodes, nodes.Items[i].Name)
		}
	}
	d := v.target.rollout(v.client)
	state, err := d.Get(ctx)
	if err != nil {
		return err
	}
	address, err := v.target.address(ctx, v.client)
	if err != nil {
		return err
	}
	v.run.Target = record.Target{
		Name: d.Namespace + "/" + d.Name, Image: v.target.container.Image, Address: address, Paths: v.Traffic.Paths, Replicas: int(state.Replicas),
	}
	describeContainer(&v.run.Target, &v.target.workload.Template.Spec, v.target.container)
	v.run.Target.Port = v.target.podPort()
	v.describeImage()
	digest, err := v.digest(ctx)
	if err != nil {
		return err
	}
	if digest != "" {
		v.run.Target.Image += " (" + digest + ")"
	}
	return nil
}

// digest identifies what runs: the program, if the image is made of one, or else the
// image. It may be empty.
func (v *verification) digest(ctx context.Context) (string, error) {
	for _, i := range v.Images {
		if image.Same(i.Name, v.target.container.Image) && len(i.Files) > 0 {
			return digestOf(i)
		}
	}
	pods, err := v.client.CoreV1().Pods(v.target.workload.namespace).List(ctx, metav1.ListOptions{LabelSelector: v.target.selector.String(), Limit: 1})
	if err != nil {
		return "", err
	}
	for i := range pods.Items {
		for _, s := range pods.Items[i].Status.ContainerStatuses {
			if _, id, ok := strings.Cut(s.ImageID, "sha256:"); ok && s.Name == v.target.container.Name && len(id) >= 16 {
				return "image sha256:" + id[:16], nil
			}
		}
	}
	return "", nil
}

// digestOf identifies the program of an image by its SHA-256.
func digestOf(image cluster.Image) (string, error) {
	program := ""
	if len(image.Entrypoint) > 0 {
		program = image.Files[image.Entrypoint[0]]
	}
	if program == "" {
		return "no program", nil
	}
	f, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // read only
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("program sha256:%x", h.Sum(nil)[:8]), nil
}
