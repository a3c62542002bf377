package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// prepare brings the target up, ready, and the load generator beside it.
func (v *verification) prepare(ctx context.Context) error {
	if v.cluster == nil {
		return errors.New("no cluster")
	}
	for _, s := range v.Steps {
		if _, ok := v.cluster.(driver.Faults); s.Faults && !ok {
			return fmt.Errorf("the scenario %q needs a cluster of its own: %w", s.Name, driver.ErrUnsupported)
		}
	}
	objects, err := manifest.Read(v.Manifests...)
	if err != nil {
		return err
	}
	if v.target, err = findTarget(objects, &v.Options); err != nil {
		return err
	}
	if v.Replicas > 0 {
		if err := v.target.setReplicas(objects, v.Replicas); err != nil {
			return err
		}
	}
	if len(v.Around) > 0 {
		around, err := manifest.Read(v.Around...)
		if err != nil {
			return err
		}
		objects = append(without(around, objects), objects...)
	}
	for _, object := range objects {
		v.run.Notes = append(v.run.Notes, v.cluster.Fit(object.Unstructured)...)
	}
	if v.applier, err = manifest.NewApplier(v.cluster.RESTConfig()); err != nil {
		return err
	}
	for _, image := range v.Images {
		if err := v.cluster.LoadImage(ctx, image); err != nil {
			return fmt.Errorf("load the image %s: %w", image.Name, err)
		}
	}
	v.Say("applying %d objects", len(objects))
	v.applied = objects
	if err := v.applier.Apply(ctx, objects); err != nil {
		return err
	}
	d := v.target.rollout(v.client)
	v.Say("waiting for the Deployment %s/%s", d.Namespace, d.Name)
	if err := d.Wait(ctx, v.ReadyTimeout, true); err != nil {
		return err
	}
	v.agent, err = startAgent(ctx, v.cluster, v.client, v.AgentBinary)
	if err != nil {
		return err
	}
	return v.describe(ctx)
}

// without leaves out the objects that are among others.
func without(objects, others []manifest.Object) []manifest.Object {
	return slices.DeleteFunc(objects, func(a manifest.Object) bool {
		return slices.ContainsFunc(others, func(b manifest.Object) bool {
			return a.GroupVersionKind().GroupKind() == b.GroupVersionKind().GroupKind() && namespaceOf(a) == namespaceOf(b) && a.GetName() == b.GetName()
		})
	})
}

// describe notes what is verified, and where.
func (v *verification) describe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	version, err := v.client.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	nodes, err := v.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	v.run.Cluster = record.Cluster{Driver: v.cluster.Name(), Kubernetes: version.GitVersion}
	for i := range nodes.Items {
		v.run.Cluster.Nodes = append(v.run.Cluster.Nodes, nodes.Items[i].Name)
	}
	d := v.target.rollout(v.client)
	dep, err := d.Get(ctx)
	if err != nil {
		return err
	}
	address, err := v.target.address(ctx, v.client)
	if err != nil {
		return err
	}
	v.run.Target = record.Target{
		Name: d.Namespace + "/" + d.Name, Image: v.target.container.Image, Address: address, Paths: v.Traffic.Paths, Replicas: 1,
	}
	if len(v.Images) > 0 {
		digest, err := digestOf(v.Images[0])
		if err != nil {
			return err
		}
		v.run.Target.Image += " (" + digest + ")"
	}
	if dep.Spec.Replicas != nil {
		v.run.Target.Replicas = int(*dep.Spec.Replicas)
	}
	return nil
}

// digestOf names the program of an image by its SHA-256, so that a report says
// what was verified.
func digestOf(image driver.Image) (string, error) {
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
