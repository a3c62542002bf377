package verify

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Rules returns the rights that the verification of a workload where it is needs: in
// all namespaces, since that of the load generator is made for each run, and in the
// workload's own.
func (p *InPlace) Rules() (everywhere, inNamespace []rbacv1.PolicyRule) {
	rule := func(group string, resources, verbs []string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
	}
	read := []string{"get", "list", "watch"}
	everywhere = []rbacv1.PolicyRule{
		rule("", []string{"namespaces"}, []string{"create", "get", "delete"}),
		rule("", []string{"pods"}, []string{"create", "get", "delete"}),
		rule("", []string{"pods/portforward"}, []string{"create", "get"}),
		rule("", []string{"nodes"}, []string{"list"}), // only to name them in the report
	}
	workload := rule("apps", []string{strings.ToLower(p.Kind) + "s"}, []string{"get", "patch"})
	workload.ResourceNames = []string{p.Name}
	inNamespace = []rbacv1.PolicyRule{
		workload,
		rule("", []string{"pods", "services", "events"}, read),
		rule("", []string{"pods"}, []string{"delete"}), // only for the scenario pod-deletion
		rule("", []string{"pods/log"}, []string{"get"}),
		rule("discovery.k8s.io", []string{"endpointslices"}, read),
	}
	return everywhere, inNamespace
}

// optional are rights without which a verification goes on.
var optional = map[string]bool{"list nodes": true, "delete pods": true}

// checkRights returns an error that names the rights in the workload's namespace that
// the user lacks.
func (p *InPlace) checkRights(ctx context.Context, client kubernetes.Interface) error {
	_, rules := p.Rules()
	var missing []string
	for _, r := range rules {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				if optional[verb+" "+resource] {
					continue
				}
				ok, err := allowed(ctx, client, p, r, resource, verb)
				if err != nil {
					return fmt.Errorf("ask which rights the user has: %w", err)
				}
				if !ok {
					missing = append(missing, verb+" "+resource)
				}
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the user may not do in the namespace %s: %s; --print-rbac prints roles with all rights that are needed", p.Namespace, strings.Join(missing, ", "))
}

func allowed(ctx context.Context, client kubernetes.Interface, p *InPlace, r rbacv1.PolicyRule, resource, verb string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, settledTimeout)
	defer cancel()
	what := &authorizationv1.ResourceAttributes{Namespace: p.Namespace, Group: r.APIGroups[0], Verb: verb}
	what.Resource, what.Subresource, _ = strings.Cut(resource, "/")
	if len(r.ResourceNames) > 0 {
		what.Name = r.ResourceNames[0]
	}
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: what},
	}, metav1.CreateOptions{})
	return err == nil && review.Status.Allowed, err
}
