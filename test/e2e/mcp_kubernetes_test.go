package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A lineClient is an agent that has started the command mcp and talks to it on lines.
type lineClient struct {
	*process
	in    io.WriteCloser
	lines chan string // what it answers; closed at the end of its output
	id    int
}

func startMCP(t *testing.T, args ...string) *lineClient {
	t.Helper()
	cmd := command(t, append([]string{"mcp"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// Not StdoutPipe, which Wait closes before all has been read.
	out, stdout := io.Pipe()
	cmd.Stdout = stdout
	c := &lineClient{process: start(t, cmd), in: in, lines: make(chan string)}
	go func() {
		<-c.log.done
		stdout.Close() //nolint:errcheck,gosec // it never fails
	}()
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case c.lines <- s.Text():
			case <-c.log.done: // nobody has waited for it
			}
		}
	}()
	return c
}

// call calls a tool and returns the result, as the text of its JSON.
func (c *lineClient) call(tool string, arguments map[string]any) string {
	c.t.Helper()
	c.id++
	params, err := json.Marshal(map[string]any{"name": tool, "arguments": arguments})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.in, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%s}`+"\n", c.id, params); err != nil {
		c.t.Fatal(err)
	}
	select {
	case line, ok := <-c.lines:
		var answer struct {
			ID     int
			Result struct{ Content []struct{ Text string } }
		}
		if err := json.Unmarshal([]byte(line), &answer); !ok || err != nil || answer.ID != c.id || len(answer.Result.Content) != 1 {
			c.t.Fatalf("%s is answered with %q: %v", tool, line, err)
		}
		return answer.Result.Content[0].Text
	case <-time.After(testenv.Patience):
		c.t.Fatalf("%s is not answered", tool)
		return ""
	}
}

// becomes repeats a call until the result has all texts.
func (c *lineClient) becomes(tool string, arguments map[string]any, texts ...string) {
	c.t.Helper()
	last := ""
	for w := testenv.Start(); ; time.Sleep(20 * time.Millisecond) {
		last = c.call(tool, arguments)
		missing := ""
		for _, text := range texts {
			if !strings.Contains(last, text) {
				missing = text
			}
		}
		switch {
		case missing == "":
			return
		case w.Elapsed() > testenv.Patience:
			c.t.Fatalf("%s never has %s; last: %s", tool, missing, last)
		}
	}
}

// The command mcp at a real API server, with the right to read Services alone: its answers
// follow the cluster, and say so while they can't.
func TestMCPOfACluster(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	const user, ns = "laptop", "mcp"
	cp.namespace(t, ns)
	cp.bind(t, user, "", "services", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get", "list", "watch"}})
	kubeconfig := cp.kubeconfig(t, user)
	relay := throughRelay(t, kubeconfig)
	c := startMCP(t, "--kubeconfig", kubeconfig, "--namespaces", ns, "--timeout", "2m")

	list, dashboards := map[string]any{}, map[string]any{"name": "dashboards"}
	if got := c.call("list_backends", list); got != `{"backends":[],"total":0}` {
		t.Errorf("an empty namespace: %s", got)
	}
	// It is there, has another port, has changed what it is, and is gone.
	cp.service(t, ns, "dashboards", 3000)
	c.becomes("list_backends", list, `"name":"dashboards"`, `"total":1`)
	c.becomes("get_backend", dashboards, `"url":"http://dashboards.mcp.svc.cluster.local:3000"`)
	cp.service(t, ns, "dashboards", 80)
	c.becomes("get_backend", dashboards, `"url":"http://dashboards.mcp.svc.cluster.local:80"`)
	c.becomes("find_backend", map[string]any{"signal": "dashboards", "namespace": ns}, `"name":"dashboards"`)
	c.becomes("explain_service", map[string]any{"namespace": ns, "name": "dashboards"}, `"listed":true`)
	cp.deleteService(t, ns, "dashboards")
	c.becomes("list_backends", list, `"total":0`)
	c.becomes("explain_service", map[string]any{"namespace": ns, "name": "dashboards"}, "There is no Service")

	// During an outage the last state is answered, with a warning.
	cp.service(t, ns, "kept", 3000)
	c.becomes("list_backends", list, `"name":"kept"`)
	relay.cut()
	c.becomes("list_backends", list, `"name":"kept"`, `"warning":"The cluster could not be read since 20`)
	cp.service(t, ns, "meanwhile", 3000)
	c.becomes("explain_service", map[string]any{"namespace": ns, "name": "kept"}, "could not be read from the cluster")
	relay.mend()
	c.becomes("list_backends", list, `"name":"meanwhile"`, `"total":2}`)

	// The same if the right is taken away.
	bindings := cp.admin.RbacV1().ClusterRoleBindings()
	binding, err := bindings.Get(t.Context(), user+"-services", metav1.GetOptions{})
	if err == nil {
		err = bindings.Delete(t.Context(), binding.Name, metav1.DeleteOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	// A watch that has begun goes on, so it must not begin anew before the server knows.
	testenv.Eventually(t, testenv.Patience, "the server refuses the user", func() bool {
		review, err := cp.admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: ns, Verb: "watch", Resource: "services"},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return !review.Status.Allowed
	})
	relay.cut()
	c.becomes("list_backends", list, `"warning"`)
	relay.mend()
	c.becomes("explain_service", map[string]any{"namespace": ns, "name": "kept"}, "may not list services")
	for range 20 { // also when the server is known to answer
		time.Sleep(100 * time.Millisecond)
		if got := c.call("list_backends", list); !strings.Contains(got, `"total":2`) || !strings.Contains(got, `"warning"`) {
			t.Fatalf("without the right: %s", got)
		}
	}
	binding.ResourceVersion, binding.UID = "", ""
	if _, err := bindings.Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	cp.deleteService(t, ns, "meanwhile")
	c.becomes("list_backends", list, `"total":1}`)

	// The end of its input is its end.
	c.in.Close() //nolint:errcheck,gosec // the end of it
	c.ends(0)
	for line := range strings.Lines(c.log.text()) {
		// On a busy machine it also says that it waits for the first reading.
		if !strings.Contains(line, "waiting for the cluster at ") && !strings.HasSuffix(line, " has been read\n") {
			t.Errorf("it has said: %s", line)
		}
	}
}

// Agents end the command by a signal, too; what keeps it from reading the cluster is said when
// its input ends, and only on standard error.
func TestMCPOfAClusterEnds(t *testing.T) {
	t.Parallel() // it mostly waits
	cp := sharedPlane.get(t)
	const user, ns = "laptop-signals", "mcp-ends"
	cp.namespace(t, ns)
	cp.bind(t, user, ns, "services", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list", "watch"}})
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		c := startMCP(t, "--kubeconfig", cp.kubeconfig(t, user), "--namespaces", ns, "--timeout", "2m")
		c.call("list_backends", nil)
		c.send(signal)
		c.ends(0)
	}
	for _, args := range [][]string{{"--kubeconfig", cp.kubeconfig(t, user)}, {"--kubeconfig", cp.kubeconfig(t, "stranger"), "--namespaces", ns}} {
		code, stdout, stderr := runCommand(t, append([]string{"mcp", "--timeout", "1h"}, args...)...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "the cluster can't be read") || !strings.Contains(stderr, "services") {
			t.Errorf("%q: exit code %d, %q\n%s", args, code, stdout, stderr)
		}
	}
}
