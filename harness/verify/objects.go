package verify

import (
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// Read reads the manifests, and refuses what can't work, before a cluster is started.
// stdin is read for the manifest "-". If existing is set, the cluster may know more
// kinds than Kubernetes' own. The result is kept for Run, which otherwise calls Read
// itself.
func (o *Options) Read(stdin io.Reader, existing bool) error {
	objects, err := manifest.ReadFrom(stdin, o.Manifests...)
	if err != nil {
		return err
	}
	objects, left := manifest.Clean(objects)
	objects, notes, err := manifest.Select(objects, !existing)
	if err != nil {
		return err
	}
	t, err := findTarget(objects, o)
	if err != nil {
		return err
	}
	if err := t.fits(o); err != nil {
		return err
	}
	around, err := manifest.Read(o.Around...)
	if err != nil {
		return err
	}
	if err := t.checkReferences(append(slices.Clone(around), objects...)); err != nil {
		return err
	}
	if err := o.readVia(t, existing); err != nil {
		return err
	}
	o.objects, o.around = objects, around
	o.Notes = append(o.Notes, append(left, notes...)...)
	return nil
}

// ContainerImages returns the images of all containers of the manifests, which must have been
// read: with init containers and sidecars, in the order of the manifests.
func (o *Options) ContainerImages() ([]ContainerImage, error) {
	all, err := containerImages(o.objects, o)
	if err != nil || o.Via == nil {
		return all, err
	}
	before, err := containerImages(o.viaObjects, o.viaOptions())
	for i := range before {
		before[i].Main, before[i].Via = false, before[i].Main
	}
	return append(all, before...), err
}

// A reference is what a pod names and must be there.
type reference struct{ kind, name string }

// checkReferences returns an error that names what the target's pods need and the
// manifests don't have. Their namespace is a new one, so nothing else can be in it.
func (t *target) checkReferences(objects []manifest.Object) error {
	have := map[reference]bool{{"ConfigMap", "kube-root-ca.crt"}: true, {"ServiceAccount", "default"}: true}
	claims := map[string]bool{}
	for _, o := range objects {
		if namespaceOf(o) == t.workload.namespace {
			have[reference{o.GetKind(), o.GetName()}] = true
		}
	}
	var missing []string
	for _, r := range references(&t.workload.Template.Spec) {
		if text := r.kind + " " + r.name; !have[r] && !claims[text] {
			claims[text] = true
			missing = append(missing, text)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the pods of the %s would not start, as the manifests lack, in the namespace %s: %s; add them with --manifest or --around (from a cluster: kubectl get -n %[2]s KIND NAME -o yaml)",
		&t.workload, t.workload.namespace, strings.Join(missing, ", "))
}

// references returns what a pod needs besides images.
func references(spec *corev1.PodSpec) []reference {
	var all []reference
	add := func(kind, name string, optional *bool) {
		if name != "" && (optional == nil || !*optional) {
			all = append(all, reference{kind, name})
		}
	}
	add("ServiceAccount", spec.ServiceAccountName, nil)
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if v.ConfigMap != nil {
			add("ConfigMap", v.ConfigMap.Name, v.ConfigMap.Optional)
		}
		if v.Secret != nil {
			add("Secret", v.Secret.SecretName, v.Secret.Optional)
		}
		if v.PersistentVolumeClaim != nil {
			add("PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName, nil)
		}
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ConfigMap != nil {
				add("ConfigMap", s.ConfigMap.Name, s.ConfigMap.Optional)
			}
			if s.Secret != nil {
				add("Secret", s.Secret.Name, s.Secret.Optional)
			}
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil {
				add("ConfigMap", from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
			}
			if from.SecretRef != nil {
				add("Secret", from.SecretRef.Name, from.SecretRef.Optional)
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom == nil {
				continue
			}
			if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
				add("ConfigMap", r.Name, r.Optional)
			}
			if r := e.ValueFrom.SecretKeyRef; r != nil {
				add("Secret", r.Name, r.Optional)
			}
		}
	}
	return all
}

// withNamespaces adds the namespaces that the objects are in and none of them makes.
func withNamespaces(objects []manifest.Object) []manifest.Object {
	have := map[string]bool{"default": true, "kube-system": true, "kube-public": true, "kube-node-lease": true}
	for _, o := range objects {
		if o.GetKind() == "Namespace" {
			have[o.GetName()] = true
		}
	}
	var added []manifest.Object
	for _, o := range objects {
		if n := o.GetNamespace(); n != "" && !have[n] {
			have[n] = true
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": n}}}
			added = append(added, manifest.Object{Unstructured: u, File: o.File})
		}
	}
	return append(added, objects...)
}
