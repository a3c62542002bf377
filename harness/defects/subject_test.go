package defects_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/manifest"
)

func TestSubject(t *testing.T) {
	s, err := defects.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	// The cases are the defects that the server has. It lists them if it is asked for
	// an unknown one.
	var names []string
	for _, c := range defects.Planted() {
		names = append(names, c.Name)
	}
	var exit *exec.ExitError
	out, err := exec.Command(s.Server, "--defect=none-such").CombinedOutput()
	if want := "the defects are " + strings.Join(names, ", ") + "\n"; !errors.As(err, &exit) || !bytes.HasSuffix(out, []byte(want)) {
		t.Errorf("%v: %s\nnot %s", err, out, want)
	}
	if out, err := exec.Command(s.Agent, "--help").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if s.Image().Files["/subject"] != s.Server {
		t.Errorf("%+v", s.Image())
	}

	for _, c := range []struct {
		d               defects.Deployment
		replicas, grace int
		args            string
	}{
		{defects.Deployment{Namespace: "a"}, 2, 30, ""},
		{defects.Deployment{Namespace: "b", Replicas: 3, Grace: 8, Args: []string{"--x=\"", "--y"}}, 3, 8, `--x=" --y`},
	} {
		o, err := s.Options(c.d)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
		objects, err := manifest.Read(o.Manifests...)
		if err != nil {
			t.Fatal(err)
		}
		// An empty list must be a list, since null is something else to some appliers.
		if text, err := os.ReadFile(o.Manifests[0]); err != nil || c.args == "" && !strings.Contains(string(text), "args: []\n") {
			t.Errorf("%v: %s", err, text)
		}
		for _, object := range objects {
			if strings.Contains(object.GetName()+object.GetNamespace(), "%") {
				t.Errorf("%s is not filled in", object)
			}
			if object.GetKind() != "Deployment" {
				continue
			}
			var d appsv1.Deployment
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &d); err != nil {
				t.Fatal(err)
			}
			pod := d.Spec.Template.Spec
			if d.Namespace != c.d.Namespace || int(*d.Spec.Replicas) != c.replicas || int(*pod.TerminationGracePeriodSeconds) != c.grace ||
				pod.Containers[0].Image != s.Image().Name || strings.Join(pod.Containers[0].Args, " ") != c.args {
				t.Errorf("%+v became %+v", c.d, d)
			}
		}
	}
	if _, err := s.Options(defects.Deployment{Namespace: "../a"}); err == nil || !strings.Contains(err.Error(), "../a") {
		t.Errorf("%v", err)
	}
}

// If the programs can't be built, the error has the output of the go command.
func TestBuildFails(t *testing.T) {
	t.Setenv("GOFLAGS", "-no-such-flag")
	if _, err := defects.Build(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("%v", err)
	}
}
