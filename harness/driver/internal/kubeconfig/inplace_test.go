package kubeconfig_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
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
	"kubernaut.io/dynamic-toolset/internal/testenv"
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

// interrupted interrupts a verification in the midst of its first restart, and checks what
// it leaves. Only an API server that did not answer in time excuses the error.
func (w *world) interrupted(t *testing.T, right defects.Case, namespace string) (excused bool, err error) {
	t.Helper()
	o := w.theirs(t, right, namespace)
	before := w.spec(t, namespace)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	if o.Steps, err = scenario.Parse("rolling-restart", 20); err != nil {
		return false, err
	}
	began := make(chan error, 1)
	o.Say = func(_ string, args ...any) {
		if len(args) == 1 && args[0] == "rolling restart 1" {
			go func() {
				defer interrupt()
				began <- w.rolloutBegan(ctx, namespace)
			}()
		}
	}
	c, err := w.start(t, kubeconfig.Options{})
	if err != nil {
		return false, err
	}
	_, ended := verify.Run(ctx, c, o)
	left := c.Close()
	var part *verify.Incomplete
	if !errors.As(ended, &part) || !errors.Is(ended, context.Canceled) || errors.Is(ended, verify.ErrLeft) || left != nil {
		return errors.Is(ended, context.DeadlineExceeded) || left != nil, fmt.Errorf("interrupted: %w", errors.Join(ended, left))
	}
	if err := <-began; err != nil {
		return true, fmt.Errorf("wait for the rollout: %w", err)
	}
	if n := len(part.Run.Requests); n == 0 || len(part.Run.Checks) > 0 || part.Run.Ended.IsZero() {
		return false, fmt.Errorf("%d requests and %d checks until %v", n, len(part.Run.Checks), part.Run.Ended)
	}
	w.nothingLeft(t)
	// The rollout that had begun goes on, and no other begins.
	d := rollout.Workload{Client: w.client, Namespace: namespace, Name: "subject"}
	if err := d.Wait(t.Context(), 2*time.Minute, true); err != nil {
		return true, err
	}
	if after := w.spec(t, namespace); after != before {
		return false, fmt.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	sets, err := w.client.AppsV1().ReplicaSets(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return true, err
	}
	if len(sets.Items) != 2 {
		return false, fmt.Errorf("%d ReplicaSets", len(sets.Items))
	}
	return false, nil
}

// rolloutBegan waits until the Deployment has a second ReplicaSet: the API server has
// the restart by then, however slow it is.
func (w *world) rolloutBegan(ctx context.Context, namespace string) error {
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		sets, err := w.client.AppsV1().ReplicaSets(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		return len(sets.Items) == 2, nil
	})
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
		try := 0
		err := testenv.Measure(t, "whether an interrupted run leaves the Deployment as it was", func() (bool, error) {
			try++
			return w.interrupted(t, right, fmt.Sprintf("in-place-interrupted-%d", try))
		})
		if err != nil {
			t.Error(err)
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
