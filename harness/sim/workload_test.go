package sim_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/rollout"
	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// soon is how long a test waits for what a cluster does within a second or two on an
// idle host.
const soon = testenv.Patience

// eventually waits until done returns "". Before that it returns what is missing.
func eventually(t *testing.T, done func(ctx context.Context) (missing string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	for {
		missing := done(ctx)
		if missing == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s: %s", soon, missing)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A place is the namespace of a test.
type place struct {
	t      *testing.T
	c      *sim.Cluster
	client *kubernetes.Clientset
	ns     string
	http   *http.Client // into the cluster, with a new connection for each request
}

func newPlace(t *testing.T, c *sim.Cluster) *place {
	t.Helper()
	ctx := testContext(t)
	p := &place{t: t, c: c, client: client(t, c.RESTConfig())}
	ns, err := p.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.ns = ns.Name
	// Without waiting, as the next test has another namespace.
	t.Cleanup(func() {
		_ = p.client.CoreV1().Namespaces().Delete(context.Background(), p.ns, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
	})
	p.http = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: c.DialContext, DisableKeepAlives: true}}
	eventually(t, func(ctx context.Context) string {
		if _, err := p.client.CoreV1().ServiceAccounts(p.ns).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	return p
}

// podSpec returns a pod of the program echo, which is ready when it answers.
func podSpec() corev1.PodSpec {
	grace := int64(1)
	return corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace,
		Containers: []corev1.Container{{
			Name: "echo", Image: "example/echo:v1",
			ReadinessProbe: &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(8080)}},
				PeriodSeconds: 1,
			},
		}},
	}
}

// deploy creates a Deployment with one pod per node and a Service, and waits until both
// pods are ready. It returns the Service's address.
func (p *place) deploy(name string, template corev1.PodSpec) (address string) {
	p.t.Helper()
	labels := map[string]string{"app": name}
	template.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: labels},
	}}
	replicas := int32(len(p.c.Nodes()))
	ctx := testContext(p.t)
	_, err := p.client.AppsV1().Deployments(p.ns).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: template},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	address = p.expose(name, labels)
	p.waitRollout(name)
	return address
}

// expose creates a Service on port 80, and returns its address.
func (p *place) expose(name string, labels map[string]string) string {
	p.t.Helper()
	s, err := p.client.CoreV1().Services(p.ns).Create(testContext(p.t), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}}},
	}, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return s.Spec.ClusterIP
}

// waitRollout waits until all pods of a Deployment are of its newest version, and
// ready.
func (p *place) waitRollout(name string) {
	p.t.Helper()
	d := rollout.Workload{Client: p.client, Namespace: p.ns, Name: name}
	if err := d.Wait(context.Background(), soon, false); err != nil {
		p.t.Fatal(err)
	}
}

// pods returns the pods with this label app.
func (p *place) pods(app string) []corev1.Pod {
	p.t.Helper()
	l, err := p.client.CoreV1().Pods(p.ns).List(testContext(p.t), metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		p.t.Fatal(err)
	}
	return l.Items
}

// run creates a single pod, waits until it is ready, and returns it.
func (p *place) run(name string, spec corev1.PodSpec) *corev1.Pod {
	p.t.Helper()
	if _, err := p.client.CoreV1().Pods(p.ns).Create(testContext(p.t), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}, Spec: spec,
	}, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	var pod *corev1.Pod
	eventually(p.t, func(ctx context.Context) string {
		var err error
		if pod, err = p.client.CoreV1().Pods(p.ns).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		if !rollout.PodReady(pod) {
			return fmt.Sprintf("pod %s is not ready: %+v", name, pod.Status)
		}
		return ""
	})
	return pod
}

// get returns the answer of http://address/path.
func (p *place) get(ctx context.Context, address, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return strings.TrimSpace(string(body)), err
}

// wantAnswer waits until the answer contains want.
func (p *place) wantAnswer(address, path, want string) {
	p.t.Helper()
	eventually(p.t, func(ctx context.Context) string {
		got, err := p.get(ctx, address, path)
		if err != nil || !strings.Contains(got, want) {
			return fmt.Sprintf("%s%s: %q, %v, want %q", address, path, got, err, want)
		}
		return ""
	})
}

func podAddress(pod *corev1.Pod) string { return net.JoinHostPort(pod.Status.PodIP, "8080") }

// letView gives the namespace's default ServiceAccount the ClusterRole "view".
func (p *place) letView() {
	p.t.Helper()
	if _, err := p.client.RbacV1().RoleBindings(p.ns).Create(testContext(p.t), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: p.ns}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
	}, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}
