package sim_test

import (
	"context"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/sim"
)

func rbac(t *testing.T, cp *sim.ControlPlane, admin kubernetes.Interface) {
	ctx := testContext(t)
	jane := client(t, cp.RESTConfigAs("jane", "readers"))
	if _, err := jane.CoreV1().Services("").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `"jane"`) {
		t.Errorf("a user without rights lists Services: %v, want forbidden", err)
	}
	letReadServices(ctx, t, admin, "readers")
	// The authorizer follows roles and bindings by its own watches.
	var err error
	for range 200 {
		if _, err = jane.CoreV1().Services("").List(ctx, metav1.ListOptions{}); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("a user whose group may read lists Services: %v", err)
	}
	if err := jane.CoreV1().Services("default").Delete(ctx, "kubernetes", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a user who may read deletes a Service: %v, want forbidden", err)
	}
}

// letReadServices grants this right to a group by a new role: the built-in role "view"
// is empty without the controller manager.
func letReadServices(ctx context.Context, t *testing.T, admin kubernetes.Interface, group string) {
	t.Helper()
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: group},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get", "list", "watch"}}},
	}
	if _, err := admin.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: group},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: group}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: group},
	}
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
