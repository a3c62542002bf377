package kubeconfig_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/defects/defectstest"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/kubeconfig"
	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// theirs deploys a case as others have it, and returns the options to verify it where
// it is.
func (w *world) theirs(t *testing.T, c defects.Case, namespace string) verify.Options {
	t.Helper()
	o, err := w.subject.Options(c.Deployment(namespace))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := manifest.Read(o.Manifests...)
	if err != nil {
		t.Fatal(err)
	}
	applier, err := manifest.NewApplier(w.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := applier.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	d := rollout.Workload{Client: w.client, Namespace: namespace, Name: "subject"}
	if err := d.Wait(t.Context(), 2*time.Minute, true); err != nil {
		t.Fatal(err)
	}
	o.InPlace = &verify.InPlace{Kind: rollout.Deployment, Namespace: namespace, Name: "subject"}
	o.Manifests, o.Cleanup, o.AgentImage, o.Say = nil, false, agentpod.Image, t.Logf
	return o
}

// spec returns the specification of a Deployment without the time of a restart.
func (w *world) spec(t *testing.T, namespace string) string {
	t.Helper()
	d, err := w.client.AppsV1().Deployments(namespace).Get(t.Context(), "subject", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	delete(d.Spec.Template.Annotations, scenario.RestartedAt)
	if len(d.Spec.Template.Annotations) == 0 {
		d.Spec.Template.Annotations = nil
	}
	text, err := json.Marshal(d.Spec)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A Deployment that others use is restarted as often as asked for, and is otherwise as
// before: if it passes, if it fails, if the budget is spent, if others change it, and if
// the user interrupts.
func TestInPlace(t *testing.T) {
	w := newWorld(t)
	right := defects.Right()
	wrong, err := defects.Named("exits-at-once")
	if err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T) func(o verify.Options) (*record.Run, error) {
		t.Helper()
		c, err := w.start(t, kubeconfig.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if _, err := w.client.CoreV1().Namespaces().Get(context.Background(), c.Namespace(), metav1.GetOptions{}); err == nil {
				t.Errorf("the namespace %s is left", c.Namespace())
			}
		})
		return func(o verify.Options) (*record.Run, error) { return verify.Run(t.Context(), c, o) }
	}
	t.Run("passes", func(t *testing.T) {
		o := w.theirs(t, right, "in-place-right")
		before := w.spec(t, "in-place-right")
		run := start(t)
		defectstest.Verify(t, right, func(int) (*record.Run, error) { return run(o) })
		if after := w.spec(t, "in-place-right"); after != before {
			t.Errorf("it was\n%s\nand is\n%s", before, after)
		}
	})
	t.Run("budget", func(t *testing.T) {
		o := w.theirs(t, wrong, "in-place-budget")
		before := w.spec(t, "in-place-budget")
		o.MaxLost = 3
		o.Steps, err = scenario.Parse("rolling-restart", 20)
		if err != nil {
			t.Fatal(err)
		}
		run := start(t)
		result, err := run(o)
		if err != nil {
			t.Fatal(err)
		}
		if result.Passed() || len(result.Phases) > 10 || !strings.Contains(strings.Join(result.Notes, "\n"), "ended early, as more than 3 requests were lost") {
			t.Errorf("passed: %v, %d phases, notes %q", result.Passed(), len(result.Phases), result.Notes)
		}
		if after := w.spec(t, "in-place-budget"); after != before {
			t.Errorf("it was\n%s\nand is\n%s", before, after)
		}
	})
	t.Run("others", func(t *testing.T) {
		o := w.theirs(t, right, "in-place-others")
		o.Baseline = time.Minute
		o.Say = func(format string, _ ...any) {
			if strings.HasPrefix(format, "baseline") {
				_, err := w.client.AppsV1().Deployments("in-place-others").Patch(context.Background(), "subject", types.MergePatchType,
					[]byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{FieldManager: "a-colleague"})
				if err != nil {
					t.Error(err)
				}
			}
		}
		run := start(t)
		if _, err := run(o); !errors.Is(err, verify.ErrChanged) || !strings.Contains(err.Error(), "a-colleague") {
			t.Errorf("changed by others: %v", err)
		}
		d, err := w.client.AppsV1().Deployments("in-place-others").Get(t.Context(), "subject", metav1.GetOptions{})
		if err != nil || *d.Spec.Replicas != 3 || d.Spec.Template.Annotations[scenario.RestartedAt] != "" {
			t.Errorf("what they did was changed: %v, %v", d.Spec, err)
		}
		// It is not settled at once, or is at three replicas; either way a wrong name is
		// said before anything is done.
		o.InPlace = &verify.InPlace{Kind: rollout.StatefulSet, Namespace: "in-place-others", Name: "subject"}
		if _, err := run(o); err == nil || !strings.Contains(err.Error(), "there is no StatefulSet in-place-others/subject") {
			t.Errorf("%v", err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		o := w.theirs(t, right, "in-place-interrupted")
		before := w.spec(t, "in-place-interrupted")
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		o.Steps, err = scenario.Parse("rolling-restart", 20)
		if err != nil {
			t.Fatal(err)
		}
		o.Say = func(format string, args ...any) {
			if len(args) == 1 && args[0] == "rolling restart 1" {
				time.AfterFunc(time.Second, interrupt) // in its midst
			}
		}
		c, err := w.start(t, kubeconfig.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify.Run(ctx, c, o)
		var part *verify.Incomplete
		if !errors.As(err, &part) || !errors.Is(err, context.Canceled) || errors.Is(err, verify.ErrLeft) {
			t.Fatalf("interrupted: %v", err)
		}
		if n := len(part.Run.Requests); n == 0 || len(part.Run.Checks) > 0 || part.Run.Ended.IsZero() {
			t.Errorf("%d requests and %d checks until %v", n, len(part.Run.Checks), part.Run.Ended)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		w.nothingLeft(t)
		// The rollout that had begun goes on, and no other begins.
		d := rollout.Workload{Client: w.client, Namespace: "in-place-interrupted", Name: "subject"}
		if err := d.Wait(t.Context(), 2*time.Minute, true); err != nil {
			t.Error(err)
		}
		if after := w.spec(t, "in-place-interrupted"); after != before {
			t.Errorf("it was\n%s\nand is\n%s", before, after)
		}
		sets, err := w.client.AppsV1().ReplicaSets("in-place-interrupted").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(sets.Items) != 2 {
			t.Errorf("%d ReplicaSets, %v", len(sets.Items), err)
		}
	})
	t.Run("rights", func(t *testing.T) {
		o := w.theirs(t, right, "in-place-rights")
		limited := rest.AnonymousClientConfig(w.config)
		limited.BearerToken = token(t, w.client, &rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "namespaces", "pods/portforward"}, Verbs: []string{"*"}})
		file := t.TempDir() + "/limited"
		writeKubeconfig(t, file, limited)
		c, err := w.start(t, kubeconfig.Options{Kubeconfig: file})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // the test is about something else
		if _, err := verify.Run(t.Context(), c, o); err == nil || !strings.Contains(err.Error(), "patch deployments") || !strings.Contains(err.Error(), "--print-rbac") {
			t.Errorf("%v", err)
		}
	})
}
