package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"kubernaut.io/dynamic-toolset/cluster/configmap"
)

// installNamespace is where the manifests of deploy/ install.
const installNamespace = "kubernaut-system"

// authDelegator is a ClusterRole of Kubernetes itself.
const authDelegator = "system:auth-delegator"

// A right is one right of a Role or ClusterRole, or one that a request used.
type right struct{ verb, group, resource, name, namespace string }

func (r right) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s.%s %q in %q", r.verb, r.resource, r.group, r.name, r.namespace))
}

// rights are the ServiceAccounts and RBAC objects of an installation, with the names in
// the manifests, or with other names so that several installations fit into a cluster.
type rights struct {
	cp      *plane
	ns      string
	account string // the ServiceAccount that the service under test runs as

	accounts        []*corev1.ServiceAccount
	roles           []*rbacv1.Role
	bindings        []*rbacv1.RoleBinding
	clusterRoles    []*rbacv1.ClusterRole
	clusterBindings []*rbacv1.ClusterRoleBinding
}

// readRights reads rights from files of deploy/, for the namespace ns.
func readRights(t *testing.T, cp *plane, ns, account string, files ...string) *rights {
	t.Helper()
	r := &rights{cp: cp, ns: ns, account: account}
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(repository, "deploy", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		docs := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(b)))
		for {
			doc := make([]byte, 64<<10)
			n, err := docs.Read(doc)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(doc[:n], nil, nil)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			r.take(t, file, obj)
		}
	}
	if ns != installNamespace {
		r.move()
	}
	return r
}

func (r *rights) take(t *testing.T, file string, obj runtime.Object) {
	switch o := obj.(type) {
	case *corev1.ServiceAccount:
		r.accounts = append(r.accounts, o)
	case *rbacv1.Role:
		for i := range o.Rules {
			// The name of one part of the documents stands for those of all.
			if rule := &o.Rules[i]; len(rule.ResourceNames) > 1 {
				takeParts(t, file, rule)
			}
		}
		r.roles = append(r.roles, o)
	case *rbacv1.RoleBinding:
		r.bindings = append(r.bindings, o)
	case *rbacv1.ClusterRole:
		r.clusterRoles = append(r.clusterRoles, o)
	case *rbacv1.ClusterRoleBinding:
		r.clusterBindings = append(r.clusterBindings, o)
	default:
		t.Fatalf("%s holds a %T, which is no matter of rights", file, o)
	}
}

// takeParts checks that a rule has the names of all possible parts of the documents, and
// keeps the first few, which are all that the tests use.
func takeParts(t *testing.T, file string, rule *rbacv1.PolicyRule) {
	t.Helper()
	var all []string
	for n := 1; n <= configmap.PartNames; n++ {
		all = append(all, configmap.PartName(configMapName, n))
	}
	if !slices.Equal(rule.ResourceNames, all) {
		t.Fatalf("%s: the rule is about %v, not about the names of parts: %v", file, rule.ResourceNames, all)
	}
	rule.ResourceNames = all[:20]
}

// ofPart reports whether the right is about a part of the documents, and returns it with
// a name that stands for any part.
func (r right) ofPart() (right, bool) {
	_, number, is := strings.Cut(r.name, configMapName+"-")
	if is {
		r.name = strings.TrimSuffix(r.name, number) + "N"
	}
	return r, is
}

// move changes the namespace of all objects to that of this installation, and gives
// cluster-wide objects a name of their own.
func (r *rights) move() {
	subjects := func(all []rbacv1.Subject) {
		for i := range all {
			all[i].Namespace = r.ns
		}
	}
	for _, o := range r.accounts {
		o.Namespace = r.ns
	}
	for _, o := range r.roles {
		o.Namespace = r.ns
	}
	for _, o := range r.bindings {
		o.Namespace = r.ns
		subjects(o.Subjects)
	}
	for _, o := range r.clusterRoles {
		o.Name += "-" + r.ns
	}
	for _, o := range r.clusterBindings {
		o.Name += "-" + r.ns
		if o.RoleRef.Name != authDelegator {
			o.RoleRef.Name += "-" + r.ns
		}
		subjects(o.Subjects)
	}
}

// granted returns the rights of the account one by one.
func (r *rights) granted() []right {
	var all []right
	for _, b := range r.clusterBindings {
		if b.RoleRef.Name == authDelegator && r.bound(b.Subjects) {
			all = append(all, right{"create", "authentication.k8s.io", "tokenreviews", "", ""}, right{"create", "authorization.k8s.io", "subjectaccessreviews", "", ""})
		}
		for _, role := range r.clusterRoles {
			if role.Name == b.RoleRef.Name && b.RoleRef.Kind == "ClusterRole" && r.bound(b.Subjects) {
				all = append(all, split(role.Rules, "")...)
			}
		}
	}
	for _, b := range r.bindings {
		for _, role := range r.roles {
			if role.Name == b.RoleRef.Name && b.RoleRef.Kind == "Role" && r.bound(b.Subjects) {
				all = append(all, split(role.Rules, role.Namespace)...)
			}
		}
	}
	return all
}

func (r *rights) bound(subjects []rbacv1.Subject) bool {
	return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
		return s.Kind == rbacv1.ServiceAccountKind && s.Name == r.account && s.Namespace == r.ns
	})
}

func split(rules []rbacv1.PolicyRule, namespace string) (all []right) {
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, verb := range rule.Verbs {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, name := range names {
						all = append(all, right{verb, group, resource, name, namespace})
					}
				}
			}
		}
	}
	return all
}

// apply creates the namespace and everything in it, or updates the roles of an earlier
// apply.
func (r *rights) apply(t *testing.T) {
	t.Helper()
	exists := func(err error) error {
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	admin, create := r.cp.admin, metav1.CreateOptions{}
	_, err := admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.ns}}, create)
	errs := []error{exists(err)}
	for _, o := range r.accounts {
		_, err := admin.CoreV1().ServiceAccounts(r.ns).Create(t.Context(), o, create)
		errs = append(errs, exists(err))
	}
	for _, o := range r.roles {
		_, err := admin.RbacV1().Roles(r.ns).Create(t.Context(), o, create)
		if apierrors.IsAlreadyExists(err) {
			_, err = admin.RbacV1().Roles(r.ns).Update(t.Context(), o, metav1.UpdateOptions{})
		}
		errs = append(errs, err)
	}
	for _, o := range r.clusterRoles {
		_, err := admin.RbacV1().ClusterRoles().Create(t.Context(), o, create)
		if apierrors.IsAlreadyExists(err) {
			_, err = admin.RbacV1().ClusterRoles().Update(t.Context(), o, metav1.UpdateOptions{})
		}
		errs = append(errs, err)
	}
	for _, o := range r.bindings {
		_, err := admin.RbacV1().RoleBindings(r.ns).Create(t.Context(), o, create)
		errs = append(errs, exists(err))
	}
	for _, o := range r.clusterBindings {
		_, err := admin.RbacV1().ClusterRoleBindings().Create(t.Context(), o, create)
		errs = append(errs, exists(err))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// without removes rights from the roles, calls apply, and puts them back into the roles.
func (r *rights) without(t *testing.T, missing ...right) {
	t.Helper()
	whole := func(rules []rbacv1.PolicyRule, ns string) []rbacv1.PolicyRule {
		var left []rbacv1.PolicyRule
		for _, rule := range rules {
			if len(rule.NonResourceURLs) > 0 { // for callers of the service
				left = append(left, rule)
			}
		}
		for _, one := range split(rules, ns) {
			if slices.Contains(missing, one) {
				continue
			}
			rule := rbacv1.PolicyRule{Verbs: []string{one.verb}, APIGroups: []string{one.group}, Resources: []string{one.resource}}
			if one.name != "" {
				rule.ResourceNames = []string{one.name}
			}
			left = append(left, rule)
		}
		return left
	}
	less := *r
	less.roles, less.clusterRoles = nil, nil
	for _, role := range r.roles {
		c := role.DeepCopy()
		c.Rules = whole(role.Rules, role.Namespace)
		less.roles = append(less.roles, c)
	}
	for _, role := range r.clusterRoles {
		c := role.DeepCopy()
		c.Rules = whole(role.Rules, "")
		less.clusterRoles = append(less.clusterRoles, c)
	}
	less.apply(t)
}

// settle waits until the authorizer has noticed the rights of the account, since it
// watches roles and bindings.
func (r *rights) settle(t *testing.T, missing []right) {
	t.Helper()
	for _, one := range r.granted() {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + r.ns + ":" + r.account,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: one.verb, Group: one.group, Resource: one.resource, Name: one.name, Namespace: one.namespace},
		}}
		for wanted := !slices.Contains(missing, one); ; time.Sleep(10 * time.Millisecond) {
			answer, err := r.cp.admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
			if err != nil {
				t.Fatalf("%s: %v", one, err)
			}
			if answer.Status.Allowed == wanted {
				break
			}
		}
	}
}
