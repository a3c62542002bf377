package render_test

import (
	"encoding/json"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
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
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/harness/manifest"
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

// deployment returns the Deployment of a component, or nil if there is none.
func deployment(t *testing.T, objects []manifest.Object, component string) *appsv1.Deployment {
	t.Helper()
	for _, d := range all[appsv1.Deployment](t, objects, "Deployment") {
		if d.Labels["app.kubernetes.io/component"] == component {
			return &d
		}
	}
	return nil
}

// settings are what the service makes of a Deployment's environment: its own
// configuration code refuses unknown variables and values without sense.
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
		if !strings.HasPrefix(e.Name, "TOOLSET_") {
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

func matches(selector map[string]string, l map[string]string) bool {
	return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(l))
}

// TestObjectsFitTogether holds every rendering against the rules that make an
// installation work, and that no API server checks.
func TestObjectsFitTogether(t *testing.T) {
	for way, objects := range renderings(t) {
		t.Run(way, func(t *testing.T) {
			lookup, writer := deployment(t, objects, "lookup"), deployment(t, objects, "writer")
			if lookup == nil {
				t.Fatal("there is no Deployment for lookups")
			}
			deployments := []*appsv1.Deployment{lookup}
			if writer != nil {
				deployments = append(deployments, writer)
			}
			for _, d := range deployments {
				pods(t, d)
			}
			replicas := autoscaler(t, objects, lookup)
			updates(t, objects, lookup, replicas)
			oneWriter(t, objects, lookup, writer, replicas)
			services(t, objects, lookup, writer)
			rights(t, objects, deployments)
			network(t, objects, deployments)
			monitoring(t, objects)
			scope(t, objects, deployments)
		})
	}
}

// pods: a stop takes no longer than the grace period, and the image is a certain
// one.
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
	for path, probe := range map[string]*corev1.Probe{"/health/ready": spec.Containers[0].ReadinessProbe, "/health/live": spec.Containers[0].LivenessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port != intstr.FromString("http") {
			t.Errorf("%s is not probed at %s: %v", d.Name, path, probe)
		}
	}
	if !matches(d.Spec.Selector.MatchLabels, d.Spec.Template.Labels) {
		t.Errorf("%s does not select its own pods", d.Name)
	}
}

// autoscaler returns the least number of lookup replicas.
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

// updates: neither an update nor a drain takes away what serves, nor is blocked
// for ever.
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

// oneWriter: at most one pod writes the ConfigMap, in its own namespace, and only
// it may.
func oneWriter(t *testing.T, objects []manifest.Object, lookup, writer *appsv1.Deployment, replicas int32) {
	var writes *appsv1.Deployment
	if settings(t, lookup).ConfigMap.Enabled {
		writes = lookup
		if replicas != 1 {
			t.Errorf("%d replicas write the ConfigMap", replicas)
		}
	}
	if writer != nil {
		if writes != nil {
			t.Error("both the lookup replica and the writer write the ConfigMap")
		}
		writes = writer
		if !settings(t, writer).ConfigMap.Enabled || *writer.Spec.Replicas != 1 || writer.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
			t.Errorf("the writer does not write, or more than one at a time: %+v", writer.Spec)
		}
	}
	var grants []string
	for _, role := range all[rbacv1.Role](t, objects, "Role") {
		for _, rule := range role.Rules {
			if slices.Contains(rule.Resources, "configmaps") {
				grants = append(grants, role.Name)
				if writes == nil || !slices.Equal(rule.ResourceNames, []string{settings(t, writes).ConfigMap.Name}) || role.Namespace != writes.Namespace {
					t.Errorf("the role %s is not for the one ConfigMap: %+v", role.Name, rule)
				}
			}
		}
	}
	if writes == nil {
		if len(grants) > 0 {
			t.Errorf("nobody writes the ConfigMap, but %v grants to", grants)
		}
		return
	}
	if s := settings(t, writes); s.ConfigMap.Namespace != writes.Namespace {
		t.Errorf("the ConfigMap is written in the namespace %s; the writer runs in %s", s.ConfigMap.Namespace, writes.Namespace)
	}
	for _, b := range all[rbacv1.RoleBinding](t, objects, "RoleBinding") {
		if slices.Contains(grants, b.RoleRef.Name) && (len(b.Subjects) != 1 || b.Subjects[0].Name != writes.Spec.Template.Spec.ServiceAccountName) {
			t.Errorf("others than the writer may write the ConfigMap: %+v", b.Subjects)
		}
	}
}

// services: each leads to the pods it is for and to no others, at ports they have.
func services(t *testing.T, objects []manifest.Object, lookup, writer *appsv1.Deployment) {
	found := 0
	for _, s := range all[corev1.Service](t, objects, "Service") {
		own, other := lookup, writer
		if s.Name != lookup.Name {
			own, other = writer, lookup
		}
		if own == nil || s.Name != own.Name {
			t.Errorf("the Service %s is nobody's", s.Name)
			continue
		}
		found++
		if !matches(s.Spec.Selector, own.Spec.Template.Labels) || other != nil && matches(s.Spec.Selector, other.Spec.Template.Labels) {
			t.Errorf("the Service %s leads elsewhere: %v", s.Name, s.Spec.Selector)
		}
		for _, p := range s.Spec.Ports {
			if !hasPort(own, p.TargetPort.StrVal) {
				t.Errorf("the Service %s leads to a port %v that the pods don't have", s.Name, p.TargetPort)
			}
		}
	}
	if want := len(all[appsv1.Deployment](t, objects, "Deployment")); found != want {
		t.Errorf("%d Services for %d Deployments", found, want)
	}
}

func hasPort(d *appsv1.Deployment, name string) bool {
	return slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == name })
}

// rights: each pod's ServiceAccount is there and bound to a role that is there
// and lets it follow Services; nothing else is granted.
func rights(t *testing.T, objects []manifest.Object, deployments []*appsv1.Deployment) {
	rules := map[string][]rbacv1.PolicyRule{}
	for _, r := range all[rbacv1.Role](t, objects, "Role") {
		rules["Role "+r.Name] = r.Rules
	}
	for _, r := range all[rbacv1.ClusterRole](t, objects, "ClusterRole") {
		rules["ClusterRole "+r.Name] = r.Rules
	}
	follows := map[string]bool{}
	bind := func(name string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		granted, ok := rules[ref.Kind+" "+ref.Name]
		if !ok {
			t.Errorf("%s is of a role that is not there: %+v", name, ref)
		}
		for _, s := range subjects {
			if s.Kind != "ServiceAccount" || s.Namespace != deployments[0].Namespace {
				t.Errorf("%s has a subject elsewhere: %+v", name, s)
			}
			for _, rule := range granted {
				if slices.Equal(rule.Resources, []string{"services"}) && slices.Equal(rule.Verbs, []string{"list", "watch"}) {
					follows[s.Name] = true
				} else if !slices.Equal(rule.Resources, []string{"configmaps"}) {
					t.Errorf("%s grants more than is needed: %+v", name, rule)
				}
			}
		}
	}
	for _, b := range all[rbacv1.RoleBinding](t, objects, "RoleBinding") {
		bind(b.Name, b.RoleRef, b.Subjects)
	}
	for _, b := range all[rbacv1.ClusterRoleBinding](t, objects, "ClusterRoleBinding") {
		bind(b.Name, b.RoleRef, b.Subjects)
	}
	var accounts []string
	for _, a := range all[corev1.ServiceAccount](t, objects, "ServiceAccount") {
		accounts = append(accounts, a.Name)
		if a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
			t.Errorf("whatever pod runs as %s gets its token", a.Name)
		}
	}
	for _, d := range deployments {
		spec := d.Spec.Template.Spec
		if !slices.Contains(accounts, spec.ServiceAccountName) || !follows[spec.ServiceAccountName] {
			t.Errorf("%s runs as %s, which is not there (there are %v) or may not list and watch Services", d.Name, spec.ServiceAccountName, accounts)
		}
		if spec.AutomountServiceAccountToken == nil || !*spec.AutomountServiceAccountToken {
			t.Errorf("%s gets no token for the API server", d.Name)
		}
	}
	if len(follows) != len(deployments) || len(accounts) != len(deployments) {
		t.Errorf("%d pods, the accounts %v, of which %v may follow Services", len(deployments), accounts, follows)
	}
}

// network: the policy is of all our pods, and lets in at every port they have.
func network(t *testing.T, objects []manifest.Object, deployments []*appsv1.Deployment) {
	for _, p := range all[networkingv1.NetworkPolicy](t, objects, "NetworkPolicy") {
		open := map[string]bool{}
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				open[port.Port.StrVal] = true
			}
		}
		for _, d := range deployments {
			if !matches(p.Spec.PodSelector.MatchLabels, d.Spec.Template.Labels) {
				t.Errorf("the network policy is not of %s", d.Name)
			}
			for _, port := range d.Spec.Template.Spec.Containers[0].Ports {
				if !open[port.Name] {
					t.Errorf("the network policy closes the port %s", port.Name)
				}
			}
			for port := range open {
				if !hasPort(d, port) {
					t.Errorf("the network policy opens a port %s that %s does not have", port, d.Name)
				}
			}
		}
	}
}

// serviceMonitor is what we use of one.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// monitoring: every Service is scraped, at a port it has, and the dashboard is one.
func monitoring(t *testing.T, objects []manifest.Object) {
	for _, m := range all[serviceMonitor](t, objects, "ServiceMonitor") {
		for _, s := range all[corev1.Service](t, objects, "Service") {
			if !matches(m.Spec.Selector.MatchLabels, s.Labels) || m.Namespace != s.Namespace {
				t.Errorf("the Service %s is not scraped", s.Name)
			}
			if len(m.Spec.Endpoints) != 1 || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == m.Spec.Endpoints[0].Port }) {
				t.Errorf("the Service %s has no such port: %+v", s.Name, m.Spec.Endpoints)
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

// scope: a service that may not list the whole cluster does not try to, and
// brings nothing that is outside of its namespace.
func scope(t *testing.T, objects []manifest.Object, deployments []*appsv1.Deployment) {
	whole := len(all[rbacv1.ClusterRole](t, objects, "ClusterRole")) > 0
	for _, d := range deployments {
		if own := settings(t, d).Cluster.Namespaces; whole != (len(own) == 0) || !whole && !slices.Equal(own, []string{d.Namespace}) {
			t.Errorf("%s in %s follows the namespaces %q; rights in the whole cluster: %v", d.Name, d.Namespace, own, whole)
		}
	}
	if whole {
		return
	}
	for _, o := range objects {
		if o.GetNamespace() != deployments[0].Namespace {
			t.Errorf("%s is not in the namespace %s", o, deployments[0].Namespace)
		}
	}
}

// TestWriterIsLikeTheOthers keeps the files that say the same twice together: the
// writer's pod and rights differ from those of the other two in what they are for,
// and in nothing else.
func TestWriterIsLikeTheOthers(t *testing.T) {
	files := map[string][]manifest.Object{}
	for _, name := range []string{"base/deployment", "components/dedicated-writer/deployment", "components/configmap-writer/rbac", "components/dedicated-writer/rbac"} {
		objects, err := manifest.Read(filepath.Join(deployDir, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = objects
	}
	lookup, writer := deployment(t, files["base/deployment"], "lookup"), deployment(t, files["components/dedicated-writer/deployment"], "writer")
	same := lookup.Spec.Template.DeepCopy()
	same.Labels["app.kubernetes.io/component"] = "writer"
	same.Spec.ServiceAccountName = "dynamic-toolset-writer"
	same.Spec.TopologySpreadConstraints = nil // there is one
	env := slices.DeleteFunc(same.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "TOOLSET_CONFIGMAP_ENABLED" })
	same.Spec.Containers[0].Env = append(env,
		corev1.EnvVar{Name: "TOOLSET_CONFIGMAP_ENABLED", Value: "true"},
		corev1.EnvVar{Name: "TOOLSET_CONFIGMAP_NAMESPACE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}})
	if want, got := asYAML(t, same), asYAML(t, writer.Spec.Template); want != got {
		t.Errorf("the writer's pod is\n%s\nand by the lookup replicas' it should be\n%s", got, want)
	}
	one, other := all[rbacv1.Role](t, files["components/configmap-writer/rbac"], "Role"), all[rbacv1.Role](t, files["components/dedicated-writer/rbac"], "Role")
	if len(one) != 1 || asYAML(t, one) != asYAML(t, other) {
		t.Errorf("the roles of configmap-writer and dedicated-writer are\n%s\nand\n%s", asYAML(t, one), asYAML(t, other))
	}
}

func asYAML(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
