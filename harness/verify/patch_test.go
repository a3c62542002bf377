package verify

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/harness/cause"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/observe"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// The patch that a report names does what it says, whatever hook there was.
func TestPatch(t *testing.T) {
	for name, c := range map[string]struct {
		hook   string
		change record.Change
		want   func(*corev1.PodTemplateSpec) bool
	}{
		"a sleep": {"", record.Change{PreStopSleep: 10 * time.Second, Grace: 40 * time.Second}, func(d *corev1.PodTemplateSpec) bool {
			hook := d.Spec.Containers[1].Lifecycle.PreStop
			return hook.Sleep.Seconds == 10 && hook.Exec == nil && *d.Spec.TerminationGracePeriodSeconds == 40
		}},
		"in place of a command": {`lifecycle: {preStop: {exec: {command: [sleep, "3"]}}}`, record.Change{PreStopSleep: 10 * time.Second}, func(d *corev1.PodTemplateSpec) bool {
			hook := d.Spec.Containers[1].Lifecycle.PreStop
			return hook.Sleep.Seconds == 10 && hook.Exec == nil
		}},
		"a command in place of a sleep": {"lifecycle: {preStop: {sleep: {seconds: 3}}}", record.Change{PreStop: []string{"/bin/sh", "-c", "quit"}}, func(d *corev1.PodTemplateSpec) bool {
			hook := d.Spec.Containers[1].Lifecycle.PreStop
			return hook.Sleep == nil && len(hook.Exec.Command) == 3
		}},
		"another start": {`args: ["--flag"]`, record.Change{Command: []string{"sh", "-c", "exec 'it'"}}, func(d *corev1.PodTemplateSpec) bool {
			c := d.Spec.Containers[1]
			return c.Command[2] == "exec 'it'" && len(c.Args) == 0
		}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "app.yaml")
			err := os.WriteFile(file, []byte(`apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: sidecar
        image: other:1
      - name: app
        image: web:1
        ports: [{containerPort: 8080}]
        `+c.hook+"\n"), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			objects, err := manifest.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			target, err := findTarget(objects, &Options{})
			if err != nil {
				t.Fatal(err)
			}
			run := record.Run{Cluster: record.Cluster{Kubernetes: "v1.36.3"}, Causes: []record.Cause{{Change: c.change}}}
			describeContainer(&run.Target, &target.workload.Template.Spec, target.container)
			if err := target.patch(objects, cause.Patch(&run)); err != nil {
				t.Fatal(err)
			}
			if target, err = findTarget(objects, &Options{}); err != nil {
				t.Fatal(err)
			}
			if !c.want(&target.workload.Template) || target.workload.Template.Spec.Containers[0].Lifecycle != nil {
				t.Errorf("%+v", target.workload.Template.Spec.Containers)
			}
		})
	}
}

func TestSleepOf(t *testing.T) {
	for _, c := range []struct {
		command []string
		want    time.Duration
	}{
		{[]string{"sleep", "5"}, 5 * time.Second}, {[]string{"/bin/sleep", "1.5"}, 1500 * time.Millisecond}, {[]string{"sh", "-c", "sleep 5"}, 5 * time.Second},
		{[]string{"/bin/sh", "-c", "sleep 1m"}, time.Minute}, {[]string{"sh", "-c", "sleep 5; nginx -s quit"}, 0}, {[]string{"/drain.sh", "5"}, 0}, {nil, 0},
	} {
		if got := observe.SleepOf(c.command); got != c.want {
			t.Errorf("%q: %s, not %s", c.command, got, c.want)
		}
	}
}
