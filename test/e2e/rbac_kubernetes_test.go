package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// The files of deploy/ that grant rights, combined as in the overlays.
var (
	lookupFiles     = []string{"base/serviceaccount.yaml", "base/rbac.yaml"}
	writerFiles     = append(slices.Clone(lookupFiles), "components/configmap-writer/rbac.yaml")
	accessFiles     = append(slices.Clone(lookupFiles), "components/authentication/rbac.yaml")
	evidenceFiles   = append(slices.Clone(lookupFiles), "components/workload-evidence/rbac.yaml")
	namespacedFiles = []string{"base/serviceaccount.yaml", "overlays/namespaced/rbac.yaml"}
)

const lookupAccount = "dynamic-toolset"

// soonGranted is how long it may take until a newly granted right is used: the service
// tries again every 10 s, give or take a tenth.
const soonGranted = 15 * time.Second

// The manifests grant exactly what the service needs: with these rights it can do
// everything and is refused nothing, and it uses each of them.
func TestRightsAreEnoughAndNeeded(t *testing.T) {
	t.Parallel()      // it mostly waits
	cp := ownPlane(t) // it is filled
	start := func(ns, account string, files []string, args ...string) *installation {
		return install(t, binary, readRights(t, cp, ns, account, files...), nil, append(args, "--resync", "10s")...)
	}
	const oneNamespace = "a-team"
	cases := []struct {
		name string
		in   *installation
	}{
		{"a replica that writes", start(installNamespace, lookupAccount, writerFiles)},
		{"a replica for lookups only", start("lookups", lookupAccount, lookupFiles, "--configmap-enabled=false")},
		{"a replica with authentication", start("access", lookupAccount, accessFiles, "--configmap-enabled=false", "--auth=token", "--auth-audiences=dynamic-toolset")},
		{"a replica with workloads", start("evidence", lookupAccount, evidenceFiles, "--configmap-enabled=false", "--workload-evidence")},
		{"one namespace", start(oneNamespace, lookupAccount, namespacedFiles, "--configmap-enabled=false", "--namespaces", oneNamespace)},
	}
	for _, c := range cases {
		c.in.serving()
	}
	lists := map[string]int{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := c.in.with(t)
			if in.ns == "access" {
				in.actAs("caller", "dynamic-toolset-operator", "dynamic-toolset")
			}
			readsTheCluster(in)
			if in.ns == "evidence" {
				looksAtImages(in)
			}
			if slices.Contains(in.granted(), configMapRight("patch", in.ns)) {
				keepsTheConfigMap(in)
				keepsParts(in)
			}
			lists[c.name] = in.lists()
		})
	}
	for _, c := range cases {
		t.Run(c.name+" uses just its rights", func(t *testing.T) {
			in := c.in.with(t)
			in.within(soonGranted, "the resync, a list that nobody asked for", func() bool { return in.lists() > lists[c.name] })
			in.stop()
			usedExactly(in)
		})
	}
}

func configMapRight(verb, ns string) right {
	return right{verb, "", "configmaps", configMapName, ns}
}

// readsTheCluster makes the service do everything that reads.
func readsTheCluster(in *installation) {
	in.t.Helper()
	in.within(20*time.Second, "readiness, for which the cluster must be read", in.ready)
	in.backend("grafana", 3000)
	in.within(soonGranted, "a new Service is listed", func() bool { return in.shows("grafana") })
	in.backend("grafana", 80)
	in.within(soonGranted, "a change is seen", func() bool {
		_, body := in.ask(http.MethodGet, "/api/v1/toolsets/grafana?namespace="+in.ns)
		return strings.Contains(body, fmt.Sprintf("http://grafana.%s.svc.cluster.local:80\"", in.ns))
	})
	in.backend("loki", 3100)
	if err := in.cp.admin.CoreV1().Services(in.ns).Delete(in.t.Context(), "loki", metav1.DeleteOptions{}); err != nil {
		in.t.Fatal(err)
	}
	in.within(soonGranted, "a deletion is seen", func() bool { return in.shows("grafana") && !in.shows("loki") })
	before := in.lists()
	if status, body := in.ask(http.MethodPost, "/api/v1/discover?wait=20s"); status != http.StatusOK {
		in.t.Errorf("discover answers %d %s", status, body)
	}
	in.within(5*time.Second, "the discovery's list", func() bool { return in.lists() > before })
}

// looksAtImages makes the service find a back end that only the image of its pods betrays,
// and lose it when they run something else.
func looksAtImages(in *installation) {
	in.t.Helper()
	labels := map[string]string{"app": "pictures"}
	if _, err := in.cp.admin.CoreV1().Services(in.ns).Create(in.t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "pictures"},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("ui")}}},
	}, metav1.CreateOptions{}); err != nil {
		in.t.Fatal(err)
	}
	deployments := in.cp.admin.AppsV1().Deployments(in.ns)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "pictures"},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "c", Image: "docker.io/grafana/grafana:12.1.0", Ports: []corev1.ContainerPort{{Name: "ui", ContainerPort: 3000}}}}},
		}},
	}
	d, err := deployments.Create(in.t.Context(), d, metav1.CreateOptions{})
	if err != nil {
		in.t.Fatal(err)
	}
	in.within(soonGranted, "the image is seen", func() bool {
		_, body := in.ask(http.MethodGet, "/api/v1/services?namespace="+in.ns)
		return strings.Contains(body, "image docker.io/grafana/grafana:12.1.0 of Deployment evidence/pictures")
	})
	d.Spec.Template.Spec.Containers[0].Image = "nginx:1.29"
	if _, err := deployments.Update(in.t.Context(), d, metav1.UpdateOptions{}); err != nil {
		in.t.Fatal(err)
	}
	in.within(soonGranted, "another image is seen", func() bool { return !in.shows("pictures") })
}

// keepsTheConfigMap makes the service do everything that writes.
func keepsTheConfigMap(in *installation) {
	in.t.Helper()
	maps := in.cp.admin.CoreV1().ConfigMaps(in.ns)
	holds := func(what string) {
		in.t.Helper()
		in.within(soonGranted, what, func() bool { return in.wrote("grafana") })
	}
	holds("the ConfigMap is created")
	in.backend("grafana-two", 3000)
	in.within(soonGranted, "the ConfigMap is updated", func() bool { return in.wrote("grafana-two") })
	if _, err := maps.Patch(in.t.Context(), configMapName, types.MergePatchType, []byte(`{"data":{"toolset.json":"mine"}}`), metav1.PatchOptions{}); err != nil {
		in.t.Fatal(err)
	}
	holds("what somebody else changed is repaired")
	if err := maps.Delete(in.t.Context(), configMapName, metav1.DeleteOptions{}); err != nil {
		in.t.Fatal(err)
	}
	holds("the ConfigMap is made anew")
	if status, body := in.ask(http.MethodPost, "/api/v1/toolsets/generate"); status != http.StatusOK {
		in.t.Errorf("generate answers %d %s", status, body)
	}
}

// keepsParts makes the service split the documents, and put them together again.
func keepsParts(in *installation) {
	in.t.Helper()
	keys := func(want ...string) func() bool {
		return func() bool {
			cm, err := in.cp.admin.CoreV1().ConfigMaps(in.ns).Get(in.t.Context(), configMapName, metav1.GetOptions{})
			return err == nil && slices.Equal(slices.Sorted(maps.Keys(cm.Data)), want)
		}
	}
	in.manyBackends(300)
	in.within(30*time.Second, "the documents are in parts", keys(configmap.IndexKey))
	in.backend("one-more", 3000)
	in.within(30*time.Second, "an old part is deleted", func() bool {
		return slices.ContainsFunc(in.events(), func(e event) bool { return e.Verb == "delete" && e.Status.Code == http.StatusOK })
	})
	in.noMoreBackends(300)
	in.within(30*time.Second, "the documents are whole again", keys(holmesgpt.Key, kubernaut.Key))
}

// usedExactly checks in the audit log that the service was refused nothing and has used
// each of its rights. One part of the documents stands for all.
func usedExactly(in *installation) {
	in.t.Helper()
	used := map[right]bool{}
	for _, e := range in.events() {
		if e.decision() != "allow" || e.Status.Code == http.StatusForbidden || e.Status.Code == http.StatusUnauthorized {
			in.t.Errorf("refused: %s %s: %d %s", e.Verb, e.RequestURI, e.Status.Code, e.reason())
		}
		if e.ObjectRef == nil {
			// Every account has this right, by two roles of Kubernetes itself.
			byKubernetes := strings.Contains(e.reason(), `"system:discovery"`) || strings.Contains(e.reason(), `"system:public-info-viewer"`)
			if e.Verb != "get" || e.path() != "/readyz" || !byKubernetes {
				in.t.Errorf("asked for %s %s: %s", e.Verb, e.RequestURI, e.reason())
			}
			used[right{resource: "/readyz"}] = true
			continue
		}
		if !strings.Contains(e.reason(), in.account) {
			in.t.Errorf("%s %s is allowed, but not by the manifests: %s", e.Verb, e.RequestURI, e.reason())
		}
		for _, r := range e.used() {
			r, _ = r.ofPart()
			used[r] = true
		}
	}
	if !used[right{resource: "/readyz"}] {
		in.t.Error("the API server was never asked whether it is ready")
	}
	delete(used, right{resource: "/readyz"})
	granted := map[right]bool{}
	for _, r := range in.granted() {
		r, _ = r.ofPart()
		granted[r] = true
	}
	for r := range granted {
		if !used[r] {
			in.t.Errorf("granted, but never used: %s", r)
		}
		delete(used, r)
	}
	for r := range used {
		in.t.Errorf("used, but not granted: %s", r)
	}
	in.t.Logf("%d requests, %d rights: %v", len(in.events()), len(granted), granted)
}

// A lack is an installation without one of its rights.
type lack struct {
	in      *installation
	missing right
}

func (l lack) name() string {
	scope := "all namespaces"
	if l.missing.namespace != "" {
		scope = "its namespace"
	}
	return fmt.Sprintf("%s %s in %s", l.missing.verb, l.missing.resource, scope)
}

// Each right that the manifests grant is taken away in turn. The service reports which
// right is missing, and how to grant it: in the log, in a metric, and in answers where it
// matters. It reports that once, goes on as far as it can, and recovers without a restart
// once the right is granted.
func TestEachMissingRightIsNamed(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	var lacks []lack
	// All at once, since each waits for 10 s.
	begin := func(prefix string, files []string, args func(ns string) []string) {
		for n, one := range readRights(t, cp, installNamespace, lookupAccount, files...).granted() {
			if _, ofPart := one.ofPart(); ofPart {
				continue // needed by large clusters only; they are explained by the same code
			}
			ns := fmt.Sprintf("%s-%d", prefix, n)
			r := readRights(t, cp, ns, lookupAccount, files...)
			missing := r.granted()[n]
			lacks = append(lacks, lack{install(t, released, r, []right{missing}, args(ns)...), missing})
		}
	}
	begin("cluster", writerFiles, func(string) []string { return nil })
	begin("namespaced", namespacedFiles, func(ns string) []string { return []string{"--configmap-enabled=false", "--namespaces", ns} })
	if len(lacks) != 13 {
		t.Fatalf("%d rights are granted; this test knows what to expect of 13", len(lacks))
	}
	revoked := install(t, released, readRights(t, cp, "revoked", lookupAccount, writerFiles...), nil, "--resync", "10s")
	for _, l := range lacks {
		l.in.serving()
		l.in.backend("grafana", 3000)
	}
	revoked.serving()
	revoked.within(soonGranted, "readiness", revoked.ready)
	revoked.backend("grafana", 3000)
	revoked.within(soonGranted, "the ConfigMap", func() bool { return revoked.wrote("grafana") })
	revoked.without(t, revoked.granted()...)
	for _, l := range lacks {
		t.Run("in the log without "+l.name(), func(t *testing.T) { lack{l.in.with(t), l.missing}.isLogged() })
	}
	for _, l := range lacks {
		t.Run("without "+l.name(), func(t *testing.T) { lack{l.in.with(t), l.missing}.isTold() })
	}
	t.Run("revoked while it runs", func(t *testing.T) { isRevoked(revoked.with(t)) })
	for _, l := range lacks {
		l.in.apply(t)
	}
	revoked.apply(t)
	for _, l := range lacks {
		t.Run("granted "+l.name(), func(t *testing.T) { lack{l.in.with(t), l.missing}.isOver() })
	}
	for _, l := range lacks {
		t.Run("whole with "+l.name(), func(t *testing.T) { lack{l.in.with(t), l.missing}.isWhole() })
	}
	t.Run("granted anew", func(t *testing.T) { isGrantedAnew(revoked.with(t)) })
	all := []*installation{revoked}
	for _, l := range lacks {
		all = append(all, l.in)
	}
	for _, in := range all {
		in.stop()
	}
}
