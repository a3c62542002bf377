// Package tokenreview asks the API server of a cluster who the callers of this service
// are and what they may do. Its [Reviewer] is an auth.Reviewer.
package tokenreview

import (
	"context"
	"errors"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/cluster"
)

// A Reviewer asks the API server who callers are (TokenReview) and what they may do
// (SubjectAccessReview on a non-resource URL). It needs the rights of the ClusterRole
// system:auth-delegator.
//
// See https://kubernetes.io/docs/reference/access-authn-authz/authentication/ and
// .../authorization/.
type Reviewer struct {
	client      kubernetes.Interface
	host        string
	audiences   []string
	onForbidden func(*cluster.MissingRight)
}

var _ auth.Reviewer = (*Reviewer)(nil)

// Options configure a Reviewer.
type Options struct {
	// Audiences lists audiences of which a token must have at least one. If it is empty,
	// tokens for the API server itself are accepted.
	Audiences []string
	// OnForbidden is called for each call that was refused because a right is missing. It
	// may be nil.
	OnForbidden func(*cluster.MissingRight)
}

// New returns a Reviewer for the API server of cfg. It does not connect yet. Its calls
// have no rate limit, since callers wait for them; auth.Authorizer bounds how many are
// under way.
func New(cfg *rest.Config, o Options) (*Reviewer, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = -1, 0
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &Reviewer{client: client, host: cfg.Host, audiences: slices.Clone(o.Audiences), onForbidden: o.OnForbidden}, nil
}

// Authenticate implements auth.Reviewer.
func (r *Reviewer) Authenticate(ctx context.Context, token string) (*auth.Identity, error) {
	review, err := r.client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: r.audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, r.failed(err, "tokenreviews")
	}
	s := &review.Status
	switch {
	case !s.Authenticated:
		return nil, fmt.Errorf("%w: %s", auth.ErrInvalidToken, cluster.Clean(s.Error))
	case s.User.Username == "":
		return nil, errors.New("the API server names no user for a token that it accepts")
	case !r.audienceFits(s.Audiences):
		// An API server that does not support audiences accepts tokens that are meant for
		// others (TokenReviewStatus.audiences).
		return nil, fmt.Errorf("%w: it is for the audiences %q, not for any of %q", auth.ErrInvalidToken, s.Audiences, r.audiences)
	}
	who := &auth.Identity{Name: s.User.Username, UID: s.User.UID, Groups: s.User.Groups}
	if len(s.User.Extra) > 0 {
		who.Extra = make(map[string][]string, len(s.User.Extra))
		for k, v := range s.User.Extra {
			who.Extra[k] = v
		}
	}
	return who, nil
}

func (r *Reviewer) audienceFits(has []string) bool {
	return len(r.audiences) == 0 || slices.ContainsFunc(r.audiences, func(a string) bool { return slices.Contains(has, a) })
}

// Authorize implements auth.Reviewer.
func (r *Reviewer) Authorize(ctx context.Context, who *auth.Identity, what auth.Action) (bool, error) {
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: who.Name, UID: who.UID, Groups: who.Groups,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: what.Verb, Path: what.Path},
	}
	if len(who.Extra) > 0 {
		spec.Extra = make(map[string]authorizationv1.ExtraValue, len(who.Extra))
		for k, v := range who.Extra {
			spec.Extra[k] = v
		}
	}
	review, err := r.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return false, r.failed(err, "subjectaccessreviews")
	}
	// A denial takes precedence; an authorizer that has failed has allowed nothing.
	return review.Status.Allowed && !review.Status.Denied, nil
}

// failed returns an error that explains why there is no answer.
func (r *Reviewer) failed(err error, resource string) error {
	err = cluster.Call{Verbs: "create", Resource: resource, Host: r.host}.Explain(err)
	if right, ok := errors.AsType[*cluster.MissingRight](err); ok && r.onForbidden != nil {
		r.onForbidden(right)
	}
	return err
}
