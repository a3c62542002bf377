// Package manifest reads Kubernetes manifests from files and applies them, as
// kubectl apply --server-side does.
package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// maxFile bounds a manifest file, in bytes.
const maxFile = 16 << 20

// Object is an object, and the file that it was read from.
type Object struct {
	*unstructured.Unstructured
	File string
}

// String returns the object's kind, namespace and name, for messages.
func (o Object) String() string {
	name := o.GetName()
	if o.GetNamespace() != "" {
		name = o.GetNamespace() + "/" + name
	}
	return o.GetKind() + " " + name
}

// Stdin is the path that means the standard input.
const Stdin = "-"

// Read reads the objects in files and in folders, of which it takes *.yaml, *.yml and
// *.json, without subfolders. A folder with a kustomization file is built as by kubectl
// apply -k. The result is in an order in which it can be applied.
func Read(paths ...string) ([]Object, error) { return ReadFrom(nil, paths...) }

// ReadFrom does what Read does, and reads stdin for the path "-".
func ReadFrom(stdin io.Reader, paths ...string) ([]Object, error) {
	var files []string
	var objects []Object
	for _, path := range paths {
		if path == Stdin {
			read, err := readStdin(stdin)
			if err != nil {
				return nil, err
			}
			objects = append(objects, read...)
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("the manifest %s can't be read: %w", path, err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		if isChart(path) {
			return nil, fmt.Errorf("the folder %s is a Helm chart; render it: helm template NAME %[1]s | verify --manifest -", path)
		}
		if isKustomization(path) {
			built, err := Kustomize(path)
			if err != nil {
				return nil, err
			}
			objects = append(objects, built...)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		before := len(files)
		for _, e := range entries {
			if !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
		if len(files) == before {
			return nil, fmt.Errorf("the folder %s has no manifests (*.yaml, *.yml, *.json)", path)
		}
	}
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

func readStdin(stdin io.Reader) ([]Object, error) {
	if stdin == nil {
		return nil, errors.New("there is no standard input to read manifests from")
	}
	data, err := io.ReadAll(io.LimitReader(stdin, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("the manifests on the standard input can't be read: %w", err)
	}
	objects, err := Parse(data, "the standard input")
	if err == nil && len(objects) == 0 {
		err = errors.New("the standard input has no manifests")
	}
	return objects, err
}

// isChart reports whether a folder has a Helm chart.
func isChart(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "Chart.yaml"))
	return err == nil
}

// Parse reads the documents of a file, whose name is for messages.
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
		if err := json.Unmarshal(text, &content); err != nil { // whole numbers become int64, which client-go requires
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

// rank orders kinds so that others can refer to those before.
func rank(kind string) int {
	for i, k := range []string{"Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "Role", "ClusterRoleBinding", "RoleBinding", "Secret", "ConfigMap", "Service"} {
		if kind == k {
			return i
		}
	}
	return 100
}
