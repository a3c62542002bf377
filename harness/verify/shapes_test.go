package verify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/defects/defectstest"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// A StatefulSet and a DaemonSet are rolled out, observed and deleted like a Deployment:
// a right server passes in each, and one that exits at once fails.
func TestOtherWorkloads(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	for kind, change := range map[string]func(string) string{
		"statefulset": func(s string) string {
			s = strings.Replace(s, "kind: Deployment", "kind: StatefulSet", 1)
			s = strings.Replace(s, "  strategy:\n    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}\n", "  serviceName: subject\n  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]\n", 1)
			return strings.Replace(s, "          ports:\n", "          volumeMounts: [{name: data, mountPath: /data}]\n          ports:\n", 1)
		},
		"daemonset": func(s string) string {
			s = strings.Replace(s, "kind: Deployment", "kind: DaemonSet", 1)
			s = strings.Replace(s, "  replicas: 2\n", "", 1)
			return strings.Replace(s, "  strategy:\n    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}\n", "  updateStrategy:\n    rollingUpdate: {maxUnavailable: 1}\n", 1)
		},
	} {
		for _, name := range []string{"", "exits-at-once"} {
			t.Run(kind+"-"+name, func(t *testing.T) {
				t.Parallel()
				planted, err := defects.Named(name)
				if err != nil {
					t.Fatal(err)
				}
				run := defectstest.Verify(t, planted, func(try int) (*record.Run, error) {
					o := subject(t, planted.Deployment(strings.Trim("shape-"+kind+"-"+name, "-")+"-"+string(rune('0'+try))))
					text, err := os.ReadFile(o.Manifests[0])
					if err != nil {
						t.Fatal(err)
					}
					changed := change(string(text))
					if changed == string(text) {
						t.Fatal("the manifest is as before")
					}
					if err := os.WriteFile(o.Manifests[0], []byte(changed), 0o600); err != nil {
						t.Fatal(err)
					}
					return verify.Run(t.Context(), c, o)
				})
				if n := terminated(run); n != 2 || run.Target.Replicas != 2 {
					t.Errorf("%d of %d pods were told to stop, not 2", n, run.Target.Replicas)
				}
			})
		}
	}
}

// The target's pods can be made of root file systems: with an init container, a sidecar,
// and the user, the folder and the arguments that the image has.
func TestRootFileSystem(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	root := t.TempDir()
	for file, text := range map[string]string{"etc/passwd": "root:x:0:0::/:\nweb:x:33:33::/srv:\n", "srv/file": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(shared.subject.Server)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "srv/subject"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	right := defects.Right()
	defectstest.Verify(t, right, func(try int) (*record.Run, error) {
		o := subject(t, right.Deployment("rootfs-"+string(rune('0'+try))))
		replaceInFile(t, o.Manifests[0], "image: subject:devel", "image: registry.example/rootfs:1@sha256:"+strings.Repeat("0", 64))
		replaceInFile(t, o.Manifests[0], "      containers:\n", "      initContainers:\n        - {name: first, image: 'registry.example/rootfs:1', command: [./subject, --help]}\n"+
			"        - {name: sidecar, image: 'registry.example/rootfs:1', args: ['--listen=:8090', '--propagation-delay=0s'], restartPolicy: Always}\n      containers:\n")
		o.Images = []cluster.Image{{
			Name: "registry.example/rootfs:1", Root: root, Entrypoint: []string{"./subject"}, Username: "web", WorkingDir: "/srv",
		}}
		return verify.Run(t.Context(), c, o)
	})
}
