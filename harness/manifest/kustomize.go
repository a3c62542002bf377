package manifest

import (
	"fmt"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// isKustomization reports whether a folder has a kustomization file.
func isKustomization(folder string) bool {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if filesys.MakeFsOnDisk().Exists(filepath.Join(folder, name)) {
			return true
		}
	}
	return false
}

// Kustomize builds a folder with a kustomization file, as kubectl kustomize does:
// without plugins, and only with files of this folder and of those that it names.
func Kustomize(folder string) ([]Object, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, fmt.Errorf("kustomize can't build %s: %w", folder, err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize can't build %s: %w", folder, err)
	}
	return Parse(text, folder)
}
