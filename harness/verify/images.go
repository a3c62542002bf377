package verify

import (
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/image"
	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// ContainerImage is an image that a container of the manifests runs.
type ContainerImage struct {
	Workload, Container string // "Deployment shop/web", "web"
	Image               string
	Command             bool // the manifest says what to run
	Target              bool // it is a container of the target's pods
	Main                bool // it is the one that serves the traffic
	Via                 bool // it is the proxy in the path
}

func containerImages(objects []manifest.Object, o *Options) ([]ContainerImage, error) {
	t, err := findTarget(objects, o)
	if err != nil {
		return nil, err
	}
	var all []ContainerImage
	for _, object := range objects {
		target := t.is(object)
		for _, c := range containersOf(object) {
			name, _ := c["name"].(string)
			image, _ := c["image"].(string)
			command, _ := c["command"].([]any)
			all = append(all, ContainerImage{
				Workload: object.String(), Container: name, Image: image, Command: len(command) > 0,
				Target: target, Main: target && name == t.container.Name,
			})
		}
	}
	return all, nil
}

// podPaths are where the specification of a pod can be in an object.
var podPaths = [][]string{{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}, {"spec"}}

// containersOf returns the containers of an object's pods, those that start first
// first. Changes of them are changes of the object.
func containersOf(o manifest.Object) []map[string]any {
	for _, path := range podPaths {
		spec := o.Object
		for _, field := range path {
			spec, _ = spec[field].(map[string]any)
		}
		if _, ok := spec["containers"].([]any); !ok {
			continue
		}
		var all []map[string]any
		for _, list := range []string{"initContainers", "containers"} {
			items, _ := spec[list].([]any)
			for _, item := range items {
				if c, ok := item.(map[string]any); ok {
					all = append(all, c)
				}
			}
		}
		return all
	}
	return nil
}

// useLoaded changes the containers of images that were loaded from a file: nodes must
// not pull them, and don't know them by a digest. It returns sentences for the report.
func (v *verification) useLoaded(objects []manifest.Object) []string {
	var notes []string
	for _, o := range objects {
		for _, c := range containersOf(o) {
			name, _ := c["image"].(string)
			i := slices.IndexFunc(v.Images, func(given cluster.Image) bool { return image.Same(given.Name, name) })
			if i < 0 || v.Images[i].Archive == nil {
				continue
			}
			if plain, _, ok := strings.Cut(name, "@"); ok {
				c["image"] = plain
				notes = append(notes, fmt.Sprintf("%s: the container %s ran %s as it was given, whatever its digest.", o, c["name"], plain))
			}
			if c["imagePullPolicy"] != "Never" {
				c["imagePullPolicy"] = "IfNotPresent"
			}
		}
	}
	return notes
}
