package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/harness/sim"
)

// auditPolicy makes the API server record each request of a ServiceAccount when it is
// answered; a watch when it begins.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
`

// An audit reads the API server's audit log. An event is written when its request ends,
// perhaps a moment after the answer, so tests must wait for it.
type audit struct {
	path string

	mu     sync.Mutex
	offset int64              // up to which it has been read
	byUser map[string][]event // so far
}

// newAudit returns an option that makes an API server write its audit log to dir.
func newAudit(dir string) (*audit, sim.Option, error) {
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, nil, err
	}
	a := &audit{path: filepath.Join(dir, "audit.log"), byUser: map[string][]event{}}
	return a, sim.WithAPIServerFlags("--audit-policy-file="+policy, "--audit-log-path="+a.path, "--audit-log-mode=blocking"), nil
}

// An event is one request in the audit log (audit.k8s.io/v1).
type event struct {
	Stage      string
	Verb       string
	RequestURI string
	User       struct{ Username string }
	ObjectRef  *struct{ Resource, Namespace, Name, APIGroup string }
	Status     struct{ Code int } `json:"responseStatus"`
	// Annotations say what the authorizer has decided, and by which binding.
	Annotations map[string]string
}

func (e event) decision() string { return e.Annotations["authorization.k8s.io/decision"] }
func (e event) reason() string   { return e.Annotations["authorization.k8s.io/reason"] }

// path returns the path of the request, without its query.
func (e event) path() string { p, _, _ := strings.Cut(e.RequestURI, "?"); return p }

// used returns the rights that the request needed, mostly one. A patch or update that has
// created its object (201) also needed the right to create it, which the API server
// checks meanwhile. A create by POST needs a right without a name, whatever name the
// object has.
func (e event) used() []right {
	if e.ObjectRef == nil {
		return []right{{e.Verb, "", e.path(), "", ""}}
	}
	r := right{e.Verb, e.ObjectRef.APIGroup, e.ObjectRef.Resource, e.ObjectRef.Name, e.ObjectRef.Namespace}
	if e.Verb == "create" {
		r.name = ""
	}
	if (e.Verb == "patch" || e.Verb == "update") && e.Status.Code == http.StatusCreated {
		created := r
		created.verb = "create"
		return []right{r, created}
	}
	return []right{r}
}

// of returns the requests of a ServiceAccount so far.
func (a *audit) of(t *testing.T, namespace, account string) []event {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.readOn(); err != nil {
		t.Fatalf("the audit log: %v", err)
	}
	return slices.Clip(a.byUser["system:serviceaccount:"+namespace+":"+account])
}

// readOn reads what has been written since the last time. a.mu is held.
func (a *audit) readOn() error {
	f, err := os.Open(a.path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.NewSectionReader(f, a.offset, 1<<40))
	if err != nil {
		return err
	}
	b = b[:bytes.LastIndexByte(b, '\n')+1] // the last line may be incomplete
	for line := range bytes.Lines(b) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%w in %s", err, line)
		}
		a.byUser[e.User.Username] = append(a.byUser[e.User.Username], e)
	}
	a.offset += int64(len(b))
	return nil
}

// count returns how many requests needed r and were answered with this code. For a watch
// that is granted, its beginning counts, which has its own event.
func count(events []event, r right, code int) (n int) {
	stage := "ResponseComplete"
	if r.verb == "watch" && code == http.StatusOK {
		stage = "ResponseStarted"
	}
	for _, e := range events {
		if e.Stage == stage && e.Status.Code == code && slices.Contains(e.used(), r) {
			n++
		}
	}
	return n
}
