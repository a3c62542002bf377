package render_test

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// all returns the objects of a kind, as its type.
func all[T any](t *testing.T, objects []manifest.Object, kind string) []T {
	t.Helper()
	var found []T
	for _, o := range objects {
		if o.GetKind() != kind {
			continue
		}
		var v T
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &v, true); err != nil {
			t.Fatalf("%s: %v", o, err)
		}
		found = append(found, v)
	}
	return found
}

// deployment returns the Deployment; there must be exactly one.
func deployment(t *testing.T, objects []manifest.Object) *appsv1.Deployment {
	t.Helper()
	found := all[appsv1.Deployment](t, objects, "Deployment")
	if len(found) != 1 {
		t.Fatalf("%d Deployments, not one", len(found))
	}
	return &found[0]
}

// settings returns the settings that the service reads from the environment in a
// Deployment. Its own configuration code refuses unknown variables and invalid values.
func settings(t *testing.T, d *appsv1.Deployment) *config.Settings {
	t.Helper()
	environ := []string{"KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_SERVICE_PORT=443"}
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		value := e.Value
		if e.ValueFrom != nil {
			switch path := e.ValueFrom.FieldRef.FieldPath; path {
			case "metadata.name":
				value = d.Name + "-abc"
			case "metadata.namespace":
				value = d.Namespace
			default:
				t.Errorf("%s: %s is of the field %s", d.Name, e.Name, path)
			}
		}
		// The service reads these files when it starts; here they are replaced by others.
		switch {
		case !strings.HasPrefix(value, "/etc/dynamic-toolset/tls/"):
		case e.Name == "TOOLSET_TLS_CERT_FILE" && strings.HasSuffix(value, "/tls.crt"):
			value, _ = certificate(t)
		case e.Name == "TOOLSET_TLS_KEY_FILE" && strings.HasSuffix(value, "/tls.key"):
			_, value = certificate(t)
		}
		if !strings.HasPrefix(e.Name, "TOOLSET_") && e.Name != "GOMEMLIMIT" { // the Go runtime reads this one
			t.Errorf("%s: %s is no setting", d.Name, e.Name)
		}
		environ = append(environ, e.Name+"="+value)
	}
	s, err := config.Load(nil, environ, io.Discard)
	if err != nil {
		t.Fatalf("%s: the service refuses its environment: %v", d.Name, err)
	}
	return s
}

// certificate writes files as a mounted Secret of type kubernetes.io/tls has them.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	pair.once.Do(func() {
		authority, err := certtest.NewAuthority()
		if err != nil {
			t.Fatal(err)
		}
		pair.Pair = authority.Issue(t, nil)
	})
	return pair.Write(t, t.TempDir())
}

var pair struct {
	once sync.Once
	certtest.Pair
}

func matches(selector map[string]string, l map[string]string) bool {
	return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(l))
}

// TestObjectsFitTogether checks every rendering against the rules that make an
// installation work and that no API server checks.
func TestObjectsFitTogether(t *testing.T) {
	for way, objects := range renderings(t) {
		t.Run(way, func(t *testing.T) {
			lookup := deployment(t, objects)
			pods(t, lookup)
			replicas := autoscaler(t, objects, lookup)
			updates(t, objects, lookup, replicas)
			services(t, objects, lookup)
			rights(t, objects, lookup)
			network(t, objects, lookup)
			monitoring(t, objects, lookup)
			scope(t, objects, lookup)
		})
	}
}

// pods checks that a stop takes no longer than the grace period, and that the image has a
// fixed version.
func pods(t *testing.T, d *appsv1.Deployment) {
	s, spec := settings(t, d), d.Spec.Template.Spec
	if grace, need := *spec.TerminationGracePeriodSeconds, (s.Shutdown.PropagationDelay + s.Shutdown.DrainTimeout).Seconds(); float64(grace) < need+5 {
		t.Errorf("%s is killed %d s after the signal; its shutdown takes up to %v s", d.Name, grace, need)
	}
	image := spec.Containers[0].Image
	if _, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":"); tag == "" || tag == "latest" {
		t.Errorf("%s runs %q, which may be another image tomorrow", d.Name, image)
	}
	if s.HTTP.ServedBy != d.Name+"-abc" {
		t.Errorf("%s does not say which replica answers, but %q", d.Name, s.HTTP.ServedBy)
	}
	ports := map[string]int32{}
	for _, p := range spec.Containers[0].Ports {
		ports[p.Name] = p.ContainerPort
	}
	if s.HTTP.Listen != ":8080" || ports["http"] != 8080 || s.HTTP.MetricsListen != ":9090" || ports["metrics"] != 9090 {
		t.Errorf("%s listens on %s and %s, and says it has the ports %v", d.Name, s.HTTP.Listen, s.HTTP.MetricsListen, ports)
	}
	scheme := corev1.URIScheme("")
	if s.HTTP.TLSCertFile != "" {
		scheme = corev1.URISchemeHTTPS
	}
	for path, probe := range map[string]*corev1.Probe{"/health/ready": spec.Containers[0].ReadinessProbe, "/health/live": spec.Containers[0].LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port != intstr.FromString("http") || probe.HTTPGet.Scheme != scheme {
			t.Errorf("%s is not probed at %s: %v", d.Name, path, probe)
		}
	}
	if !matches(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
		t.Errorf("%s does not select its own pods", d.Name)
	}
}

// autoscaler returns the minimum number of lookup replicas.
func autoscaler(t *testing.T, objects []manifest.Object, lookup *appsv1.Deployment) int32 {
	autoscalers := all[autoscalingv2.HorizontalPodAutoscaler](t, objects, "HorizontalPodAutoscaler")
	if len(autoscalers) == 0 {
		if lookup.Spec.Replicas == nil {
			t.Fatal("nothing says how many replicas there are")
		}
		return *lookup.Spec.Replicas
	}
	h := autoscalers[0].Spec
	if len(autoscalers) > 1 || h.ScaleTargetRef.Kind != "Deployment" || h.ScaleTargetRef.Name != lookup.Name {
		t.Errorf("the autoscaler is not of the Deployment for lookups: %+v", autoscalers)
	}
	if lookup.Spec.Replicas != nil {
		t.Error("the Deployment has a number of replicas, with which each apply undoes what the autoscaler chose")
	}
	if lookup.Spec.Template.Spec.Containers[0].Resources.Requests.Cpu().IsZero() {
		t.Error("the autoscaler's target is in percent of a request that is not made")
	}
	return *h.MinReplicas
}

// updates checks that neither an update nor a node drain removes too many replicas or is
// blocked forever.
func updates(t *testing.T, objects []manifest.Object, lookup *appsv1.Deployment, replicas int32) {
	r := lookup.Spec.Strategy.RollingUpdate
	if r == nil || r.MaxUnavailable.IntValue() != 0 || r.MaxSurge.IntValue() < 1 {
		t.Errorf("an update may take replicas away before there are new ones: %+v", lookup.Spec.Strategy)
	}
	budgets := all[policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget")
	if len(budgets) != min(int(replicas)-1, 1) {
		t.Errorf("%d disruption budgets for %d replicas", len(budgets), replicas)
	}
	for _, b := range budgets {
		if b.Spec.MinAvailable != nil || b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.IntValue() < 1 {
			t.Errorf("the disruption budget can block a drain for ever: %+v", b.Spec)
		} else if b.Spec.MaxUnavailable.IntValue() >= int(replicas) {
			t.Errorf("the disruption budget lets all %d replicas go at once", replicas)
		}
		if !maps.Equal(b.Spec.Selector.MatchLabels, lookup.Spec.Selector.MatchLabels) {
			t.Errorf("the disruption budget is not of the lookup pods: %v", b.Spec.Selector)
		}
	}
	for _, c := range lookup.Spec.Template.Spec.TopologySpreadConstraints {
		if !maps.Equal(c.LabelSelector.MatchLabels, lookup.Spec.Selector.MatchLabels) {
			t.Errorf("the spread over %s counts other pods: %v", c.TopologyKey, c.LabelSelector)
		}
	}
}

// services checks that the Service leads to the pods, at ports that they have.
func services(t *testing.T, objects []manifest.Object, lookup *appsv1.Deployment) {
	found := all[corev1.Service](t, objects, "Service")
	if len(found) != 1 {
		t.Fatalf("%d Services, not one", len(found))
	}
	s := found[0]
	if s.Name != lookup.Name || !matches(s.Spec.Selector, lookup.Spec.Template.Labels) {
		t.Errorf("the Service %s leads elsewhere: %v", s.Name, s.Spec.Selector)
	}
	for _, p := range s.Spec.Ports {
		if !hasPort(lookup, p.TargetPort.StrVal) {
			t.Errorf("the Service %s leads to a port %v that the pods don't have", s.Name, p.TargetPort)
		}
	}
}

func hasPort(d *appsv1.Deployment, name string) bool {
	return slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
}

// network checks that the policy selects all our pods and allows traffic to each of their
// ports.
func network(t *testing.T, objects []manifest.Object, d *appsv1.Deployment) {
	for _, p := range all[networkingv1.NetworkPolicy](t, objects, "NetworkPolicy") {
		open := map[string]bool{}
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				open[port.Port.StrVal] = true
			}
		}
		if !matches(p.Spec.PodSelector.MatchLabels, d.Spec.Template.Labels) {
			t.Error("the network policy is not of the pods")
		}
		for _, port := range d.Spec.Template.Spec.Containers[0].Ports {
			if !open[port.Name] {
				t.Errorf("the network policy closes the port %s", port.Name)
			}
		}
		for port := range open {
			if !hasPort(d, port) {
				t.Errorf("the network policy opens a port %s that the pods don't have", port)
			}
		}
	}
}

// serviceMonitor has those fields of a ServiceMonitor that we use.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Interval string `json:"interval"`
			Scheme   string `json:"scheme"`
			TLS      *struct {
				ServerName string `json:"serverName"`
				CA         struct {
					Secret corev1.SecretKeySelector `json:"secret"`
				} `json:"ca"`
			} `json:"tlsConfig"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// monitoring checks that every Service is scraped, at a port that it has, and that the
// dashboard is valid.
func monitoring(t *testing.T, objects []manifest.Object, d *appsv1.Deployment) {
	for _, m := range all[serviceMonitor](t, objects, "ServiceMonitor") {
		for _, s := range all[corev1.Service](t, objects, "Service") {
			if !matches(m.Spec.Selector.MatchLabels, s.Labels) || m.Namespace != s.Namespace {
				t.Errorf("the Service %s is not scraped", s.Name)
			}
			if len(m.Spec.Endpoints) != 1 || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == m.Spec.Endpoints[0].Port }) {
				t.Errorf("the Service %s has no such port: %+v", s.Name, m.Spec.Endpoints)
				continue
			}
			scraped := m.Spec.Endpoints[0]
			secure := settings(t, d).HTTP.TLSCertFile != ""
			if secure != (scraped.Scheme == "https") || secure && (scraped.TLS == nil || scraped.TLS.ServerName != s.Name+"."+s.Namespace+".svc" ||
				scraped.TLS.CA.Secret.Name != d.Spec.Template.Spec.Volumes[0].Secret.SecretName) {
				t.Errorf("the Service %s speaks TLS: %v, and is scraped as %+v", s.Name, secure, scraped)
			}
		}
	}
	for _, c := range all[corev1.ConfigMap](t, objects, "ConfigMap") {
		if c.Labels["grafana_dashboard"] != "1" || len(c.Data) != 1 {
			t.Errorf("the ConfigMap %s is no dashboard", c.Name)
		}
		for key, text := range c.Data {
			var dashboard struct {
				UID    string `json:"uid"`
				Panels []any  `json:"panels"`
			}
			if err := json.Unmarshal([]byte(text), &dashboard); err != nil || dashboard.UID == "" || len(dashboard.Panels) == 0 || !strings.HasSuffix(key, ".json") {
				t.Errorf("%s is no dashboard: %v", key, err)
			}
		}
	}
}

// scope checks that a service that may not list the whole cluster does not try to, and
// that nothing is installed outside its namespace.
func scope(t *testing.T, objects []manifest.Object, d *appsv1.Deployment) {
	whole := slices.ContainsFunc(all[rbacv1.ClusterRole](t, objects, "ClusterRole"), func(r rbacv1.ClusterRole) bool { return r.Name == d.Name })
	if own := settings(t, d).Cluster.Namespaces; whole != (len(own) == 0) || !whole && !slices.Equal(own, []string{d.Namespace}) {
		t.Errorf("%s in %s follows the namespaces %q; rights in the whole cluster: %v", d.Name, d.Namespace, own, whole)
	}
	if whole {
		return
	}
	for _, o := range objects {
		if o.GetNamespace() != d.Namespace {
			t.Errorf("%s is not in the namespace %s", o, d.Namespace)
		}
	}
}
