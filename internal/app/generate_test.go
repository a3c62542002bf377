package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/config"
)

// generated runs generate for a manifest, and returns its warnings.
func generated(t *testing.T, manifest string) (output string, warnings []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := config.LoadGenerate([]string{"--manifests", filepath.Dir(file), "--format", "kubernaut"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b, warnings, err := Generate(s, "1")
	if err != nil {
		t.Fatal(err)
	}
	return string(b), warnings
}

const annotatedService = "apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: shop, annotations: {kubernaut.io/toolset-typ: loki}}\nspec: {ports: [{port: 80}]}\n---\n"

// A misspelt annotation is told, though it can't be known what it was to do; but not without
// end.
func TestGenerateWarnsOfMisspeltAnnotations(t *testing.T) {
	_, warnings := generated(t, fmt.Sprintf(annotatedService, "logs"))
	if want := "Service shop/logs: kubernaut.io/toolset-typ is not known and does nothing; did you mean kubernaut.io/toolset-type?"; !slices.Equal(warnings, []string{want}) {
		t.Errorf("%q", warnings)
	}
	var many strings.Builder
	for i := range maxAnnotationWarnings + 3 {
		fmt.Fprintf(&many, annotatedService, fmt.Sprintf("logs-%03d", i))
	}
	_, warnings = generated(t, many.String())
	if n := len(warnings); n != maxAnnotationWarnings+1 || warnings[n-1] != "3 more annotations are wrong or do nothing; explain says so of one Service" {
		t.Errorf("%d warnings, the last of them %q", n, warnings[n-1])
	}
}
