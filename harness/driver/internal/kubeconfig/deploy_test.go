package kubeconfig_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const root = "../../../.."

// tools builds the verifier, also under its name as a plugin of kubectl, into one folder.
func tools(t *testing.T, w *world) (dir string) {
	t.Helper()
	dir = t.TempDir()
	build := exec.Command("go", "build", "-o", dir+"/verify", "./harness/cmd/verify")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the verifier: %v\n%s", err, out)
	}
	for link, to := range map[string]string{"kubectl-verify_rollout": "verify", "loadagent": w.subject.Agent} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// nothingLeft fails the test if a namespace of a verification is left.
func (w *world) nothingLeft(t *testing.T) {
	t.Helper()
	left, err := w.client.CoreV1().Namespaces().List(context.Background(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=toolset-verification"})
	if err != nil {
		t.Error(err)
	}
	for _, n := range left.Items {
		t.Errorf("the namespace %s is left", n.Name)
	}
}

// loadFailed reports whether the host had no time to send the load.
func loadFailed(dir string) bool {
	var report struct {
		Checks []struct{ ID, Result string }
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil || json.Unmarshal(text, &report) != nil {
		return false
	}
	for _, c := range report.Checks {
		if c.ID == "load" {
			return c.Result == "fail"
		}
	}
	return false
}

// What deploy/verify offers does what it says: the plugin of kubectl, the script of the
// GitHub Action, and the Job.
func TestDeployVerify(t *testing.T) {
	w := newWorld(t)
	dir := tools(t, &w)
	wrong, err := defects.Named("exits-at-once")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("plugin", func(t *testing.T) { w.plugin(t, dir) })
	t.Run("action", func(t *testing.T) {
		w.theirs(t, wrong, "deploy-action")
		reports, summary := t.TempDir(), filepath.Join(t.TempDir(), "summary")
		cmd := exec.Command(root + "/deploy/verify/action/verify.sh")
		cmd.Env = append(os.Environ(), "VERIFY_BIN="+dir, "VERIFY_REPORTS="+reports, "GITHUB_STEP_SUMMARY="+summary,
			"VERIFY_ARGUMENTS=deployment/subject -n deploy-action --yes --kubeconfig "+w.file+" --agent-image "+agentpod.Image)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("code %d, %v\n%s", code, err, out)
		}
		if text, err := os.ReadFile(summary); err != nil || !strings.HasPrefix(string(text), "verify: failed (code 1); see "+reports+"/report.html") {
			t.Errorf("the summary says %q, %v", text, err)
		}
		if _, err := os.Stat(reports + "/junit.xml"); err != nil {
			t.Error(err)
		}
		w.nothingLeft(t)
	})
	t.Run("job", func(t *testing.T) { w.job(t, dir) })
}

// plugin has kubectl run the verifier, to its end and until an interrupt.
func (w *world) plugin(t *testing.T, dir string) {
	kubectl := func(more ...string) *exec.Cmd {
		args := append([]string{"kubectl", "verify-rollout", "deployment/subject", "-n", "deploy-plugin", "--yes", "--kubeconfig", w.file, "--agent-image", agentpod.Image}, more...)
		cmd := exec.Command(simtest.Binary(t), args...)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		return cmd
	}
	w.theirs(t, defects.Right(), "deploy-plugin")
	before := w.spec(t, "deploy-plugin")
	err := testenv.Measure(t, "whether the rollout passes", func() (bool, error) {
		reports := t.TempDir()
		cmd := kubectl("--reports", reports)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASSED: none of ") {
			return loadFailed(reports), fmt.Errorf("%w\n%s", err, out)
		}
		return false, nil
	})
	if err != nil {
		t.Error(err)
	}
	w.nothingLeft(t)

	cmd := kubectl("--reports", t.TempDir(), "--restarts", "20")
	var errs lines
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, testenv.Patience, "the first restart", func() bool { return strings.Contains(errs.String(), "rolling restart 1") })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its code is checked below
	if code, text := cmd.ProcessState.ExitCode(), errs.String(); code != 2 || !strings.Contains(text, "everything that was started has been ended") || !strings.Contains(text, "this is no verdict") {
		t.Errorf("interrupted: code %d\n%s", code, text)
	}
	w.nothingLeft(t)
	if after := w.spec(t, "deploy-plugin"); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

// lines is the output of a process that runs.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// job applies the Job, with names of this cluster, and the rights that the verifier says
// it needs. The Job succeeds if the verifier passes.
func (w *world) job(t *testing.T, dir string) {
	const namespace, image = "deploy-job", "example/verify:test"
	w.theirs(t, defects.Right(), namespace)
	if err := w.load(t.Context(), cluster.Image{Name: image, Files: map[string]string{"/verify": dir + "/verify"}, Entrypoint: []string{"/verify"}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(root + "/deploy/verify/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	job := strings.NewReplacer("registry.example/verify:1.2", image, "registry.example/loadagent:1.2", agentpod.Image,
		"deployment/my-app", "deployment/subject", "target-namespace=shop", "target-namespace="+namespace, "namespace: shop", "namespace: "+namespace).Replace(string(text))
	if strings.Contains(job, "registry.example") || strings.Contains(job, "shop\n") {
		t.Fatalf("names of others are left:\n%s", job)
	}
	rights, err := exec.Command(dir+"/verify", "deployment/subject", "-n", namespace, "--print-rbac").Output()
	if err != nil {
		t.Fatal(err)
	}
	w.apply(t, string(rights))
	err = testenv.Measure(t, "whether the Job passes", func() (bool, error) {
		w.apply(t, job)
		jobs := w.client.BatchV1().Jobs(namespace)
		var ended *batchv1.JobCondition
		testenv.Eventually(t, 5*time.Minute, "the end of the Job", func() bool {
			j, err := jobs.Get(t.Context(), "verify-rollout", metav1.GetOptions{})
			if err != nil {
				return false
			}
			for i, c := range j.Status.Conditions {
				if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
					ended = &j.Status.Conditions[i]
				}
			}
			return ended != nil
		})
		said := w.logOf(t, namespace, "job-name=verify-rollout")
		now := metav1.DeletePropagationForeground
		if err := jobs.Delete(t.Context(), "verify-rollout", metav1.DeleteOptions{PropagationPolicy: &now}); err != nil {
			t.Error(err)
		}
		testenv.Eventually(t, testenv.Patience, "the Job's removal", func() bool {
			_, err := jobs.Get(t.Context(), "verify-rollout", metav1.GetOptions{})
			return err != nil
		})
		if !strings.Contains(said, "If the verification is killed: kubectl delete namespace toolset-verification-") {
			t.Errorf("it does not say how to clean up:\n%s", said)
		}
		if ended.Type != batchv1.JobComplete || !strings.Contains(said, "PASSED: none of ") {
			return strings.Contains(said, "FAIL  the load generator sent what it should"), fmt.Errorf("%s: %s\n%s", ended.Type, ended.Message, said)
		}
		return false, nil
	})
	if err != nil {
		t.Error(err)
	}
	w.nothingLeft(t)
}

// apply applies manifests.
func (w *world) apply(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.yaml")
	err := os.WriteFile(file, []byte(text), 0o600)
	var objects []manifest.Object
	if err == nil {
		objects, err = manifest.Read(file)
	}
	var applier *manifest.Applier
	if err == nil {
		applier, err = manifest.NewApplier(w.config)
	}
	if err == nil {
		err = applier.Apply(t.Context(), objects)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// logOf returns what a pod has logged.
func (w *world) logOf(t *testing.T, namespace, selector string) string {
	t.Helper()
	pods, err := w.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err == nil && len(pods.Items) == 0 {
		err = errors.New("there is no pod")
	}
	if err != nil {
		t.Fatal(err)
	}
	body, err := w.client.CoreV1().Pods(namespace).GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
