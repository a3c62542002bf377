package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/explain"
)

// What the pods run is part of an explanation: its steps say the same as the list, for each
// Service of real installations.
func TestExplainWithWorkloads(t *testing.T) {
	folders, err := filepath.Glob("testdata/workloads/*/manifest.yaml")
	if err != nil || len(folders) == 0 {
		t.Fatal(err)
	}
	images := 0
	for _, file := range folders {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range strings.Split(string(text), "\n---") {
			var svc corev1.Service
			if yaml.Unmarshal([]byte(doc), &svc) != nil || svc.Kind != "Service" {
				continue
			}
			s := &config.Explain{Namespace: svc.Namespace, Name: svc.Name, Output: config.OutputJSON}
			if s.Namespace == "" {
				s.Namespace = corev1.NamespaceDefault
			}
			s.Cluster.Manifests, s.Timeout = filepath.Dir(file), time.Minute
			out, _, err := Explain(s, "test")
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var d explain.Document
			if err := json.Unmarshal(out, &d); err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(d.Steps, func(st explain.Step) bool { return st.Outcome == detect.Recognised })
			if d.Listed != (i >= 0) || d.Listed && d.Steps[i].Rule != d.Type {
				t.Errorf("%s: the steps and the list differ: %s", file, out)
			}
			images += strings.Count(string(out), `"its pods run the image `)
		}
	}
	if images < 10 {
		t.Errorf("only %d explanations name an image", images)
	}
}
