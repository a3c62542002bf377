package render_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/harness/sim/simtest"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// TestOverlaysRun installs overlays in a cluster, one over the other like a team that
// grows, and checks the result: the restricted pods run, lookups find what they should,
// and one pod writes the ConfigMap. The autoscaler has no metrics there, but keeps its
// minimum. The network policy is not tested, since nothing enforces it there.
func TestOverlaysRun(t *testing.T) {
	c := simtest.StartCluster(t)
	program := filepath.Join(t.TempDir(), "dynamic-toolset")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".") // #nosec G204
	build.Dir, build.Env = "../..", append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	if err := c.LoadImage(ctx, sim.Image{
		Name: "dynamic-toolset:devel", Files: map[string]string{"/dynamic-toolset": program}, Entrypoint: []string{"/dynamic-toolset"}, User: 65532,
	}); err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	applier, err := manifest.NewApplier(c.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	prepare(ctx, t, c.RESTConfig())
	visitor := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: c.DialContext, DisableKeepAlives: true}}
	in := installation{t: t, client: client, applier: applier, visitor: visitor}
	in.backEnd(ctx, "team-a", "prometheus", 9090)
	in.backEnd(ctx, namespace, "grafana", 3000)

	t.Run("minimal", func(t *testing.T) {
		in := in.of(t, "minimal", namespace)
		in.install(ctx)
		in.want(ctx, 1, "grafana", "prometheus")
		in.wantDocument(ctx, "grafana", "prometheus")
	})
	t.Run("production over minimal", func(t *testing.T) {
		in := in.of(t, "production", namespace)
		in.install(ctx)
		in.want(ctx, 3, "grafana", "prometheus")
		if err := client.CoreV1().ConfigMaps(namespace).Delete(ctx, "kubernaut-toolset-config", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		in.wantDocument(ctx, "grafana", "prometheus")
	})
	t.Run("namespaced-writer in another namespace", func(t *testing.T) {
		in := in.of(t, "another namespace", "team-a")
		in.install(ctx)
		in.want(ctx, 3, "prometheus")
		in.wantDocument(ctx, "prometheus")
	})
}

// An installation is an overlay in a namespace.
type installation struct {
	t         *testing.T
	client    kubernetes.Interface
	applier   *manifest.Applier
	visitor   *http.Client
	objects   []manifest.Object
	namespace string
}

func (in installation) of(t *testing.T, name, namespace string) *installation {
	w := ways[slices.IndexFunc(ways, func(w way) bool { return w.name == name })]
	in.t, in.objects, in.namespace = t, w.kustomize(t), namespace
	return &in
}

// backEnd creates a Service that the service should find.
func (in *installation) backEnd(ctx context.Context, namespace, name string, port int32) {
	s := &corev1.Service{Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app.kubernetes.io/name": name}, Ports: []corev1.ServicePort{{Port: port}},
	}}
	s.Name, s.Labels = name, map[string]string{"app.kubernetes.io/name": name}
	if _, err := in.client.CoreV1().Services(namespace).Create(ctx, s, metav1.CreateOptions{}); err != nil {
		in.t.Fatal(err)
	}
}

// install applies the objects and waits for the Deployments.
func (in *installation) install(ctx context.Context) {
	in.t.Helper()
	if err := in.applier.Apply(ctx, in.objects); err != nil {
		in.t.Fatal(err)
	}
	for _, d := range all[appsv1.Deployment](in.t, in.objects, "Deployment") {
		r := rollout.Workload{Client: in.client, Namespace: in.namespace, Name: d.Name}
		if err := r.Wait(ctx, 5*time.Minute, false); err != nil {
			in.t.Fatal(err)
		}
	}
}

// eventually waits until check returns no error.
func (in *installation) eventually(ctx context.Context, check func() error) {
	in.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			in.t.Fatal(err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// want waits until the lookup Service has this number of endpoints, all of them lookup
// pods, and answers with these toolsets.
func (in *installation) want(ctx context.Context, replicas int, toolsets ...string) {
	in.t.Helper()
	in.eventually(ctx, func() error {
		slicesOf, err := in.client.DiscoveryV1().EndpointSlices(in.namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + name})
		if err != nil {
			return err
		}
		ready := 0
		for _, s := range slicesOf.Items {
			for _, e := range s.Endpoints {
				if e.Conditions.Ready != nil && *e.Conditions.Ready {
					ready++
				}
			}
		}
		if ready != replicas {
			return fmt.Errorf("the Service %s has %d endpoints, not %d", name, ready, replicas)
		}
		service, err := in.client.CoreV1().Services(in.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return in.lookup(ctx, "http://"+service.Spec.ClusterIP+":8080/api/v1/toolsets", toolsets)
	})
}

func (in *installation) lookup(ctx context.Context, url string, want []string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := in.visitor.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	var list struct {
		Toolsets []struct {
			Name string `json:"name"`
		} `json:"toolsets"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("%s: %w", body, err)
	}
	var names []string
	for _, toolset := range list.Toolsets {
		names = append(names, toolset.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, want) {
		return fmt.Errorf("%s lists %q, not %q: %s", url, names, want, body)
	}
	return nil
}

// wantDocument waits until the ConfigMap has these toolsets and was written by the holder
// of the lease.
func (in *installation) wantDocument(ctx context.Context, toolsets ...string) {
	in.t.Helper()
	in.eventually(ctx, func() error {
		c, err := in.client.CoreV1().ConfigMaps(in.namespace).Get(ctx, "kubernaut-toolset-config", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("there is no ConfigMap yet: %w", err)
		}
		if err != nil {
			return err
		}
		for _, key := range []string{kubernaut.Key, holmesgpt.Key} {
			for _, toolset := range []string{"grafana", "prometheus"} {
				if strings.Contains(c.Data[key], toolset) != slices.Contains(toolsets, toolset) {
					return fmt.Errorf("%s should have %q: %s", key, toolsets, c.Data[key])
				}
			}
		}
		lease, err := in.client.CoordinationV1().Leases(in.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if h := lease.Spec.HolderIdentity; h == nil || !strings.HasPrefix(*h, name+"-") {
			return fmt.Errorf("the lease is held by %v", h)
		}
		return nil
	})
}
