package app

import (
	"io"
	"testing"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// Each document can be chosen and printed by its format, and the defaults are the same.
func TestEachDocumentIsPrinted(t *testing.T) {
	const dir = "../../examples/cluster"
	for _, format := range snapshot.Formats() {
		s, err := config.LoadGenerate([]string{"--manifests", dir, "--format", format, "--outputs", format}, nil, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := Generate(s, "test")
		if err != nil || len(out) == 0 {
			t.Errorf("%s: %q, %v", format, out, err)
		}
	}
	s, err := config.LoadGenerate([]string{"--manifests", dir}, nil, io.Discard)
	if err != nil || len(s.Documents.Outputs) != len(snapshot.DefaultOutputs) {
		t.Fatalf("%v, %v", s.Documents, err)
	}
	for i, format := range snapshot.DefaultOutputs {
		if s.Documents.Outputs[i] != format {
			t.Errorf("by default %v, and %v", s.Documents.Outputs, snapshot.DefaultOutputs)
		}
	}
}
