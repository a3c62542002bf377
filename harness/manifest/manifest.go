// Package manifest reads Kubernetes manifests from files and applies them, as
// kubectl apply --server-side does.
package manifest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// maxFile bounds a manifest file.
const maxFile = 16 << 20

// Object is one object and where it was read.
type Object struct {
	*unstructured.Unstructured
	File string
}

// String is the object's kind, namespace and name, for messages.
func (o Object) String() string {
	name := o.GetName()
	if o.GetNamespace() != "" {
		name = o.GetNamespace() + "/" + name
	}
	return o.GetKind() + " " + name
}

// Read reads the objects of files and of folders (their *.yaml, *.yml and *.json,
// without their subfolders and without kustomization files). The order is that
// in which they can be applied.
func Read(paths ...string) ([]Object, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("the manifest %s can't be read: %w", path, err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		before := len(files)
		for _, e := range entries {
			ext := filepath.Ext(e.Name())
			if !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, ext) && strings.TrimSuffix(e.Name(), ext) != "kustomization" {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
		if len(files) == before {
			return nil, fmt.Errorf("the folder %s has no manifests (*.yaml, *.yml, *.json)", path)
		}
	}
	var objects []Object
	for _, file := range files {
		info, err := os.Stat(file)
		if err == nil && info.Size() > maxFile {
			err = fmt.Errorf("it is larger than %d bytes", maxFile)
		}
		var data []byte
		if err == nil {
			data, err = os.ReadFile(file) // #nosec G304 -- the user names it
		}
		if err != nil {
			return nil, fmt.Errorf("the manifest %s can't be read: %w", file, err)
		}
		read, err := Parse(data, file)
		if err != nil {
			return nil, err
		}
		objects = append(objects, read...)
	}
	slices.SortStableFunc(objects, func(a, b Object) int { return rank(a.GetKind()) - rank(b.GetKind()) })
	return objects, nil
}

// Parse reads the documents of one file; file is for messages.
func Parse(data []byte, file string) ([]Object, error) {
	var objects []Object
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		fail := func(err error) ([]Object, error) { return nil, fmt.Errorf("%s, document %d: %w", file, n, err) }
		if err != nil {
			return fail(err)
		}
		text, err := yaml.YAMLToJSON(document)
		if err != nil {
			return fail(err)
		}
		var content map[string]any
		if err := json.Unmarshal(text, &content); err != nil { // whole numbers become int64, as client-go wants them
			return fail(err)
		}
		if len(content) == 0 {
			continue // comments only
		}
		object := &unstructured.Unstructured{Object: content}
		if object.GetAPIVersion() == "" || object.GetKind() == "" || object.GetName() == "" && !object.IsList() {
			return fail(errors.New("an object needs apiVersion, kind and metadata.name"))
		}
		if !object.IsList() {
			objects = append(objects, Object{object, file})
			continue
		}
		if err := object.EachListItem(func(item runtime.Object) error {
			u, ok := item.(*unstructured.Unstructured)
			if !ok || u.GetName() == "" {
				return errors.New("an item of the list is no object with a name")
			}
			objects = append(objects, Object{u, file})
			return nil
		}); err != nil {
			return fail(err)
		}
	}
}

// rank orders kinds so that what others need comes first.
func rank(kind string) int {
	for i, k := range []string{"Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding", "Secret", "ConfigMap", "Service"} {
		if kind == k {
			return i
		}
	}
	return 100
}

// FieldManager owns what is applied.
const FieldManager = "toolset-verification"

// callTimeout bounds one call to the API server.
const callTimeout = 15 * time.Second

// Applier applies objects to a cluster.
type Applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// NewApplier makes one for a cluster.
func NewApplier(config *rest.Config) (*Applier, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Applier{client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))}, nil
}

// Apply applies objects in their order. An object in no namespace, of a kind that
// has one, goes to "default".
func (a *Applier) Apply(ctx context.Context, objects []Object) error {
	for _, o := range objects {
		r, err := a.resource(o)
		if err != nil {
			return err
		}
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		_, err = r.Apply(callCtx, o.GetName(), o.Unstructured, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
		cancel()
		if err != nil {
			return fmt.Errorf("apply %s of %s: %w", o, o.File, err)
		}
	}
	return nil
}

// Delete deletes objects in the reverse of their order, without waiting until
// they are gone. One that is not there is no error.
func (a *Applier) Delete(ctx context.Context, objects []Object) error {
	var errs []error
	for _, o := range slices.Backward(objects) {
		r, err := a.resource(o)
		if err == nil {
			callCtx, cancel := context.WithTimeout(ctx, callTimeout)
			background := metav1.DeletePropagationBackground
			err = r.Delete(callCtx, o.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
			cancel()
		}
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete %s: %w", o, err))
		}
	}
	return errors.Join(errs...)
}

func (a *Applier) resource(o Object) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		a.mapper.Reset() // its definition may have just been applied
		mapping, err = a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %s: the cluster knows no such kind: %w", o, o.File, err)
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return a.client.Resource(mapping.Resource), nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return a.client.Resource(mapping.Resource).Namespace(o.GetNamespace()), nil
}
