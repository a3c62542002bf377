package render

import (
	"fmt"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// Kustomize builds a folder with a kustomization.yaml, as kubectl kustomize does:
// without plugins, and without files from outside of a kustomization's folder.
func Kustomize(dir string) ([]manifest.Object, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	return manifest.Parse(text, dir)
}
