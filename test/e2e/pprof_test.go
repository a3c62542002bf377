package e2e

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// go tool pprof can read profiles of the running service, as docs/operations.md says, and
// a profile ends early when the service stops.
func TestServeProfiles(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		args := []string{"serve", "--manifests", filepath.Join(repository, "examples/cluster"), "--health-checks=false", "--shutdown-propagation-delay", "500ms"}
		if on {
			args = append(args, "--pprof")
		}
		p := serve(t, args...)
		p.answers("/ready", 200)
		const profiles = "/debug/pprof/"
		if on {
			for path, want := range map[string]string{"profile?seconds=1": "Type: cpu", "allocs": "runtime.main", "heap": "inuse_space", "goroutine": "(*App).Run"} {
				out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", "-nodecount=0", p.metrics+profiles+path).CombinedOutput() // #nosec G204 -- the test's own server
				if err != nil || !strings.Contains(string(out), want) {
					t.Errorf("%s: %v\n%s", path, err, out)
				}
			}
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				if r, _, err := p.do(http.MethodGet, profiles+"profile?seconds=300"); err != nil || r.StatusCode != 200 || r.ContentLength <= 0 {
					t.Errorf("across the end: %v, %v", r, err)
				}
			}()
			defer func() { <-answered }()
			p.eventually(profiles+"goroutine?debug=2", func(_ int, body string) bool { return strings.Contains(body, "profiles.(*Profiler).wait(") })
		} else {
			p.answers(profiles+"heap", 404, "/errors/not-found")
		}
		p.stop()
		if warned := strings.Contains(p.log.text(), "--pprof is on, and there is no auth-metrics"); warned != on {
			t.Errorf("with --pprof %v the log warns: %v", on, warned)
		}
	}
}
