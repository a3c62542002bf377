package tokenreview

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// audience is the audience of the service in these tests.
const audience = "dynamic-toolset"

// Actions that these tests ask about.
var (
	listToolsets = auth.Action{Verb: "get", Path: "/dynamic-toolset/api/v1/toolsets"}
	getToolset   = auth.Action{Verb: "get", Path: "/dynamic-toolset/api/v1/toolsets/*"}
	discover     = auth.Action{Verb: "post", Path: "/dynamic-toolset/api/v1/discover"}
)

// account creates a ServiceAccount, and returns its user name.
func (a *api) account(name string) string {
	a.T.Helper()
	if _, err := a.CoreV1().ServiceAccounts(a.NS).Create(a.T.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		a.T.Fatal(err)
	}
	return "system:serviceaccount:" + a.NS + ":" + name
}

// token returns a token of a ServiceAccount with these audiences; without any, one for
// the API server.
func (a *api) token(account string, audiences ...string) string {
	a.T.Helper()
	r, err := a.CoreV1().ServiceAccounts(a.NS).CreateToken(a.T.Context(), account, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}, metav1.CreateOptions{})
	if err != nil {
		a.T.Fatal(err)
	}
	return r.Status.Token
}

// bind gives a user a ClusterRole until the test ends.
func (a *api) bind(user, role string) {
	a.T.Helper()
	b, err := a.RbacV1().ClusterRoleBindings().Create(a.T.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: a.NS + "-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		a.T.Fatal(err)
	}
	a.T.Cleanup(func() {
		ctx := context.WithoutCancel(a.T.Context())
		if err := a.RbacV1().ClusterRoleBindings().Delete(ctx, b.Name, metav1.DeleteOptions{}); err != nil {
			a.T.Error(err)
		}
	})
}

// grantURLs gives a user the right to non-resource URLs.
func (a *api) grantURLs(user string, verb string, urls ...string) {
	a.T.Helper()
	role, err := a.RbacV1().ClusterRoles().Create(a.T.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: a.NS + "-"},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: urls, Verbs: []string{verb}}},
	}, metav1.CreateOptions{})
	if err != nil {
		a.T.Fatal(err)
	}
	a.bind(user, role.Name)
}

// reviewer returns a Reviewer that has the rights it needs and no others.
func (a *api) reviewer(audiences ...string) *Reviewer {
	a.T.Helper()
	user := "system:serviceaccount:" + a.NS + ":toolset"
	a.bind(user, "system:auth-delegator")
	r, err := New(a.CP.RESTConfigAs(user), Options{Audiences: audiences})
	if err != nil {
		a.T.Fatal(err)
	}
	// It takes a moment until the API server's authorizer knows a new binding.
	testenv.Eventually(a.T, soon, "the right to review", func() bool {
		_, err := r.Authenticate(a.T.Context(), "x")
		if !errors.Is(err, auth.ErrInvalidToken) {
			return false
		}
		_, err = r.Authorize(a.T.Context(), &auth.Identity{Name: "x"}, listToolsets)
		return err == nil
	})
	return r
}

// Which identities real tokens have, and which tokens are refused.
func TestReviewTokens(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	user := a.account("agent")
	r := a.reviewer(audience, "toolsets")
	who, err := r.Authenticate(t.Context(), a.token("agent", "other", audience))
	if err != nil {
		t.Fatal(err)
	}
	if who.Name != user || who.UID == "" || !slices.Contains(who.Groups, "system:serviceaccounts:"+a.NS) ||
		len(who.Extra["authentication.kubernetes.io/credential-id"]) != 1 {
		t.Errorf("%+v", who)
	}
	if _, err := r.Authenticate(t.Context(), a.token("agent", "toolsets")); err != nil {
		t.Errorf("one of several audiences: %v", err)
	}

	valid := a.token("agent", audience)
	for name, token := range map[string]string{
		"for the API server": a.token("agent"), "for another service": a.token("agent", "other"), "garbage": "garbage",
		"signed by nobody": valid[:strings.LastIndex(valid, ".")+1] + "c2lnbmF0dXJl", "cut": valid[:len(valid)-4],
	} {
		if who, err := r.Authenticate(t.Context(), token); !errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("a token %s: %+v %v", name, who, err)
		} else if strings.Contains(err.Error(), token) {
			t.Errorf("the error shows the token: %v", err)
		}
	}

	// Without audiences, tokens for the API server are accepted.
	open := a.reviewer()
	if who, err := open.Authenticate(t.Context(), a.token("agent")); err != nil || who.Name != user {
		t.Errorf("%+v %v", who, err)
	}
	if _, err := open.Authenticate(t.Context(), valid); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("a token for another audience: %v", err)
	}

	// The tokens of a ServiceAccount that was deleted are not valid.
	if err := a.CoreV1().ServiceAccounts(a.NS).Delete(t.Context(), "agent", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, soon, "the token of a deleted account is refused", func() bool {
		_, err := r.Authenticate(t.Context(), valid)
		return errors.Is(err, auth.ErrInvalidToken)
	})
}

// What RBAC rules on non-resource URLs grant.
func TestReviewActions(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	r := a.reviewer()
	for _, c := range []struct {
		account, verb string
		urls          []string
		may           []auth.Action
	}{
		{"nobody", "get", []string{"/unrelated"}, nil},
		{"lister", "get", []string{listToolsets.Path}, []auth.Action{listToolsets}},
		{"reader", "get", []string{listToolsets.Path, getToolset.Path}, []auth.Action{listToolsets, getToolset}},
		{"one-name", "get", []string{"/dynamic-toolset/api/v1/toolsets/grafana"}, nil},
		{"all-reads", "get", []string{"/dynamic-toolset/*"}, []auth.Action{listToolsets, getToolset}},
		{"commander", "post", []string{"*"}, []auth.Action{discover}},
		{"admin", "*", []string{"*"}, []auth.Action{listToolsets, getToolset, discover}},
	} {
		user := a.account(c.account)
		a.grantURLs(user, c.verb, c.urls...)
		who, err := r.Authenticate(t.Context(), a.token(c.account))
		if err != nil {
			t.Fatal(err)
		}
		may := func() (may []auth.Action) {
			for _, what := range []auth.Action{listToolsets, getToolset, discover} {
				ok, err := r.Authorize(t.Context(), who, what)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					may = append(may, what)
				}
			}
			return may
		}
		testenv.Eventually(t, soon, c.account+" may exactly what is granted", func() bool { return slices.Equal(may(), c.may) })

		// This is why our paths don't begin with /api/: every account may get those.
		if ok, err := r.Authorize(t.Context(), who, auth.Action{Verb: "get", Path: "/api/v1/toolsets"}); err != nil || !ok {
			t.Errorf("%s may not get /api/*: %v; is the prefix still needed?", c.account, err)
		}
	}

	// Groups and extra attributes are passed on: a right of a group holds for its
	// members.
	members := &auth.Identity{Name: "somebody", Groups: []string{"system:masters"}, Extra: map[string][]string{"k": {"v"}}}
	if ok, err := r.Authorize(t.Context(), members, discover); err != nil || !ok {
		t.Errorf("a member of system:masters: %v %v", ok, err)
	}
}

// Without the rights to review, the error names them.
func TestReviewForbidden(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var refused clustertest.Tally
	r, err := New(a.CP.RESTConfigAs("system:serviceaccount:"+a.NS+":toolset"), Options{OnForbidden: refused.Note})
	if err != nil {
		t.Fatal(err)
	}
	_, tokenErr := r.Authenticate(t.Context(), "x")
	_, actionErr := r.Authorize(t.Context(), &auth.Identity{Name: "x"}, listToolsets)
	for resource, err := range map[string]error{"tokenreviews": tokenErr, "subjectaccessreviews": actionErr} {
		right, ok := errors.AsType[*cluster.MissingRight](err)
		if !ok || right.Verb != "create" || right.Resource != resource || errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("%v", err)
			continue
		}
		if text := right.Public(); !strings.Contains(text, "system:auth-delegator") || !strings.Contains(text, "--auth=none") {
			t.Errorf("no way out is named: %s", text)
		}
		if n := refused.Count("create " + resource); n != 1 {
			t.Errorf("OnForbidden was told %d times of %s", n, resource)
		}
	}
}

// An Authorizer with a real API server that stops and comes back.
func TestReviewAPIServerStopped(t *testing.T) {
	a := newAPI(t)
	user := a.account("agent")
	a.grantURLs(user, "get", listToolsets.Path)
	const ttl = 4 * time.Second
	g, err := auth.New(auth.Options{Reviewer: a.reviewer(audience), Actions: []auth.Action{listToolsets, discover}, TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	decide := func(token string, action int) auth.Decision {
		c := g.Caller([]byte(token))
		return g.Decide(&c, action)
	}
	token, other := a.token("agent", audience), a.token("agent", audience)
	testenv.Eventually(t, soon+10*time.Second, "the grant", func() bool { return decide(token, 0).Result == auth.Allowed })
	if d := decide(token, 1); d.Result != auth.Forbidden || d.Who.Name != user {
		t.Errorf("%+v", d)
	}
	if d := decide("garbage", 0); d.Result != auth.Unauthenticated {
		t.Errorf("%+v", d)
	}

	if err := a.CP.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	d := decide(token, 0)
	if d.Result != auth.Allowed && d.Valid > 0 {
		t.Errorf("what was decided is not remembered: %+v", d)
	}
	if d := decide(other, 0); d.Result != auth.Unavailable || !errors.Is(d.Err, cluster.ErrUnreachable) {
		t.Errorf("a new token: %+v", d)
	}
	testenv.Eventually(t, ttl+soon, "the end of what was decided", func() bool {
		d := decide(token, 0)
		return d.Result == auth.Unavailable && errors.Is(d.Err, cluster.ErrUnreachable)
	})
	if err := a.CP.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, soon, "decisions, once the API server is back", func() bool {
		return decide(token, 0).Result == auth.Allowed && decide(other, 0).Result == auth.Allowed
	})
}

// Answers that a real API server gives only if something is wrong with it.
func TestReviewOddAnswers(t *testing.T) {
	client := fake.NewClientset()
	var token authenticationv1.TokenReviewStatus
	var access authorizationv1.SubjectAccessReviewStatus
	client.PrependReactor("create", "tokenreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &authenticationv1.TokenReview{Status: token}, nil
	})
	client.PrependReactor("create", "subjectaccessreviews", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &authorizationv1.SubjectAccessReview{Status: access}, nil
	})
	r := &Reviewer{client: client, audiences: []string{audience}}

	jane := authenticationv1.UserInfo{Username: "jane"}
	token = authenticationv1.TokenReviewStatus{Authenticated: true, User: jane}
	if _, err := r.Authenticate(t.Context(), "x"); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("an authenticator that knows no audiences: %v", err)
	}
	token.Audiences = []string{"https://kubernetes.default.svc"}
	if _, err := r.Authenticate(t.Context(), "x"); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("another audience: %v", err)
	}
	token.Audiences = []string{audience}
	if who, err := r.Authenticate(t.Context(), "x"); err != nil || who.Name != "jane" {
		t.Errorf("%+v %v", who, err)
	}
	token.User.Username = ""
	if who, err := r.Authenticate(t.Context(), "x"); err == nil {
		t.Errorf("a user without a name: %+v", who)
	}
	token = authenticationv1.TokenReviewStatus{User: jane, Audiences: []string{audience}, Error: "expired\x00\n"}
	if _, err := r.Authenticate(t.Context(), "x"); !errors.Is(err, auth.ErrInvalidToken) || strings.ContainsAny(err.Error(), "\x00\n") {
		t.Errorf("not authenticated: %v", err)
	}

	for _, c := range []struct {
		status authorizationv1.SubjectAccessReviewStatus
		want   bool
	}{
		{authorizationv1.SubjectAccessReviewStatus{Allowed: true}, true},
		{authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true}, false},
		{authorizationv1.SubjectAccessReviewStatus{EvaluationError: "a webhook failed"}, false},
		{authorizationv1.SubjectAccessReviewStatus{}, false},
	} {
		access = c.status
		if ok, err := r.Authorize(t.Context(), &auth.Identity{Name: "jane"}, listToolsets); err != nil || ok != c.want {
			t.Errorf("%+v: %v %v", c.status, ok, err)
		}
	}
}
