package render_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"kubernaut.io/dynamic-toolset/cluster/configmap"
	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/harness/manifest"
)

// A grant is one right of a ServiceAccount.
type grant struct{ verb, group, resource, name string }

// needs returns the rights that a replica with these settings needs. The tests of the
// service show that it uses each.
func needs(s *config.Settings) []grant {
	var all []grant
	add := func(group, resource, name string, verbs ...string) {
		for _, verb := range verbs {
			all = append(all, grant{verb, group, resource, name})
		}
	}
	add("", "services", "", "list", "watch")
	if s.Discovery.WorkloadEvidence {
		for _, resource := range []string{"deployments", "statefulsets", "daemonsets"} {
			add("apps", resource, "", "list", "watch")
		}
	}
	if c := s.ConfigMap; c.Enabled {
		add("", "configmaps", c.Name, "list", "watch", "create", "patch")
		for n := 1; n <= configmap.PartNames; n++ {
			add("", "configmaps", fmt.Sprintf("%s-%d", c.Name, n), "list", "watch", "create", "patch", "delete")
		}
		add("coordination.k8s.io", "leases", c.Lease, "list", "watch", "create", "update")
		add("events.k8s.io", "events", "", "create")
	}
	return all
}

// rights checks that the pods' ServiceAccount exists and has the rights that the pods
// need, where they need them, and no others. Nobody has the roles that are meant for
// others.
func rights(t *testing.T, objects []manifest.Object, d *appsv1.Deployment) {
	rules := map[string][]rbacv1.PolicyRule{}
	for _, r := range all[rbacv1.Role](t, objects, "Role") {
		rules["Role "+r.Name] = r.Rules
	}
	for _, r := range all[rbacv1.ClusterRole](t, objects, "ClusterRole") {
		rules["ClusterRole "+r.Name] = r.Rules
	}
	s, spec := settings(t, d), d.Spec.Template.Spec
	granted := map[grant]bool{}
	bind := func(name string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		if ref.Name == "system:auth-delegator" { // a role of Kubernetes itself
			if !s.Access.Tokens {
				t.Errorf("%s lets the service review tokens, and it does not", name)
			}
			return
		}
		bound, ok := rules[ref.Kind+" "+ref.Name]
		if !ok {
			t.Errorf("%s is of a role that is not there: %+v", name, ref)
		}
		if len(subjects) != 1 || subjects[0].Kind != "ServiceAccount" || subjects[0].Namespace != d.Namespace || subjects[0].Name != spec.ServiceAccountName {
			t.Errorf("%s is for others than the pods: %+v", name, subjects)
		}
		for _, rule := range bound {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						for _, object := range append(rule.ResourceNames, make([]string, max(0, 1-len(rule.ResourceNames)))...) {
							granted[grant{verb, group, resource, object}] = true
						}
					}
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
	for _, need := range needs(s) {
		if !granted[need] {
			t.Errorf("not granted: %+v", need)
		}
		delete(granted, need)
	}
	for g := range granted {
		t.Errorf("granted, and not needed: %+v", g)
	}
	if s.ConfigMap.Enabled && s.ConfigMap.Namespace != d.Namespace {
		t.Errorf("the ConfigMap is written in the namespace %s; the pods run in %s", s.ConfigMap.Namespace, d.Namespace)
	}
	if s.ConfigMap.Enabled && !s.ConfigMap.LeaderElection {
		t.Error("all replicas write the ConfigMap")
	}
	accounts := all[corev1.ServiceAccount](t, objects, "ServiceAccount")
	if len(accounts) != 1 || accounts[0].Name != spec.ServiceAccountName {
		t.Fatalf("the pods run as %s, and there are %+v", spec.ServiceAccountName, accounts)
	}
	if a := accounts[0]; a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
		t.Errorf("whatever pod runs as %s gets its token", a.Name)
	}
	if spec.AutomountServiceAccountToken == nil || !*spec.AutomountServiceAccountToken {
		t.Error("the pods get no token for the API server")
	}
}
