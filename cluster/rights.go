package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A MissingRight is a right that we lack according to the API server. As an error it
// names the right and says how to grant it, or how to work without it. It contains
// nothing that a client of this service must not see.
//
// errors.Is(err, ErrForbidden) holds for it.
type MissingRight struct {
	// Account is our name at the API server, such as
	// "system:serviceaccount:kubernaut-system:dynamic-toolset".
	Account string
	// Verb, Resource and Group are those of a rule of a Role.
	Verb, Resource, Group string
	// Name is the name of the object, if the request was about a single one.
	Name string
	// Namespace is empty for the whole cluster.
	Namespace string
}

// serviceAccountPrefix begins the name of a ServiceAccount at the API server.
const serviceAccountPrefix = "system:serviceaccount:"

// Error implements error.
func (r *MissingRight) Error() string {
	who, what, where, role := "this service's user", r.Resource, "in the whole cluster", "a ClusterRole"
	if strings.HasPrefix(r.Account, serviceAccountPrefix) {
		// The name of any other user may be that of a person.
		who = "the service account " + r.Account
	}
	if r.Name != "" {
		what = fmt.Sprintf("%s %q", r.Resource, r.Name)
	}
	if r.Namespace != "" {
		where, role = "in namespace "+r.Namespace, "a Role in that namespace"
	}
	return fmt.Sprintf("%s may not %s %s %s: grant it the verb %q on the resource %q by %s%s",
		who, r.Verb, what, where, r.Verb, r.Resource, role, r.hint())
}

// hint says where the rights are listed, and how to work without them.
func (r *MissingRight) hint() string {
	switch {
	case r.Resource == "services" && r.Namespace == "":
		return " (deploy/base/rbac.yaml), or limit the service to namespaces with --namespaces"
	case r.Resource == "services":
		return " (deploy/overlays/namespaced)"
	case r.Group == "apps":
		component := "workload-evidence"
		if r.Namespace != "" {
			component += "-namespaced"
		}
		return " (deploy/components/" + component + "/rbac.yaml), or do without the images of pods with --workload-evidence=false"
	case r.Resource == "configmaps":
		return " (deploy/components/configmap-writer/rbac.yaml), or do without the ConfigMap with --configmap-enabled=false"
	case r.Resource == "events":
		return " (deploy/components/configmap-writer/rbac.yaml)"
	case r.Resource == "leases":
		return " (deploy/components/configmap-writer/rbac.yaml), or, where there is never more than one replica, do without the lease with --leader-election=false"
	case r.Resource == "tokenreviews", r.Resource == "subjectaccessreviews":
		return " (the ClusterRole system:auth-delegator has both that are needed), or do without authentication with --auth=none"
	}
	return ""
}

// Public returns the text for clients; see reply.PublicCause.
func (r *MissingRight) Public() string { return r.Error() }

func (r *MissingRight) Unwrap() error { return ErrForbidden }

// denial matches the sentence in which an API server says which right is missing
// (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters, forbiddenMessage).
var denial = regexp.MustCompile(`User ("(?:[^"\\]|\\.)*") cannot ([a-z]+) resource "([a-z0-9./-]+)" in API group "([a-z0-9.-]*)" ` +
	`(?:at the cluster scope|in the namespace "([a-z0-9-]+)")`)

// missingRight returns the right that is missing according to err, a 403; nil if the
// cause is something else. Admission answers with 403 too: a policy, a webhook, a quota.
func (c Call) missingRight(err error) *MissingRight {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil
	}
	m := denial.FindStringSubmatch(status.Status().Message)
	if m == nil {
		return nil
	}
	account, uerr := strconv.Unquote(m[1])
	if uerr != nil {
		return nil
	}
	return &MissingRight{Account: Clean(account), Verb: m[2], Resource: m[3], Group: m[4], Name: c.Name, Namespace: m[5]}
}

// anonymous is our name at the API server if we send no credentials.
const anonymous = "system:anonymous"

// explainForbidden is Explain for a 403.
func (c Call) explainForbidden(err error, cause string) error {
	right := c.missingRight(err)
	switch {
	case right != nil && right.Account == anonymous:
		return &Error{fmt.Sprintf("the API server at %s sees no credentials (it takes us for %s): "+
			"give the kubeconfig's user a token or a client certificate (%s)", c.Host, anonymous, cause), ErrUnauthorized, err}
	case right != nil:
		return &Error{fmt.Sprintf("%s (%s)", right.Error(), cause), right, err}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &Error{fmt.Sprintf("the namespace %q is being deleted: create it anew once it is gone, or name another one (%s)",
			c.Namespace, cause), ErrNoNamespace, err}
	}
	return &Error{fmt.Sprintf("the API server refuses to %s %s, and not for want of a right as far as it says: "+
		"see whether a policy, a quota or an admission webhook stands against it (%s)", c.Verbs, c.Resource, cause), ErrForbidden, err}
}
