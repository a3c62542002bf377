package render

import (
	"fmt"
	"io"

	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// Write writes objects as a stream of YAML documents, as kubectl apply -f reads it.
func Write(w io.Writer, objects []manifest.Object) error {
	for _, o := range objects {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			return fmt.Errorf("%s: %w", ID(o), err)
		}
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}
