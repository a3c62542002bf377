package main

import (
	"bytes"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// go tool pprof takes profiles of the running service, as docs/operations.md says,
// and one is taken across its end.
func TestServeProfiles(t *testing.T) {
	for _, on := range []bool{true, false} {
		api, metricsPort := testenv.FreeAddress(t), testenv.FreeAddress(t)
		args := []string{"serve", "--manifests", "examples/cluster", "--health-checks=false", "--listen", api, "--metrics-listen", metricsPort, "--shutdown-propagation-delay", "500ms"}
		if on {
			args = append(args, "--pprof")
		}
		var log bytes.Buffer
		cmd := command(t, args...)
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
		eventually(t, "http://"+api+"/ready", func(status int, _ string) bool { return status == 200 })
		profiles := "http://" + metricsPort + "/debug/pprof/"
		if !on {
			eventually(t, profiles+"heap", func(status int, body string) bool {
				return status == 404 && strings.Contains(body, "/errors/not-found")
			})
		} else {
			for path, want := range map[string]string{"profile?seconds=1": "Duration: 1", "allocs": "runtime.main", "heap": "inuse_space", "goroutine": "(*App).Run"} {
				out, err := exec.Command("go", "tool", "pprof", "-top", "-cum", "-nodecount=0", profiles+path).CombinedOutput() // #nosec G204 -- the test's own server
				if err != nil || !strings.Contains(string(out), want) {
					t.Errorf("%s: %v\n%s", path, err, out)
				}
			}
			answer := make(chan *http.Response, 1)
			go func() {
				r, err := (&http.Client{Timeout: time.Minute}).Get(profiles + "profile?seconds=300")
				if err != nil {
					t.Error(err)
				}
				answer <- r
			}()
			eventually(t, profiles+"goroutine?debug=2", func(_ int, body string) bool { return strings.Contains(body, "profiles.(*Profiler).wait(") })
			defer func() {
				if r := <-answer; r != nil {
					defer r.Body.Close() //nolint:errcheck // it was only read
					if r.StatusCode != 200 || r.ContentLength <= 0 {
						t.Errorf("across the end: %v", r)
					}
				}
			}()
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ended with %v:\n%s", err, log.String())
		}
		if warned := strings.Contains(log.String(), "--pprof is on, and there is no auth-metrics"); warned != on {
			t.Errorf("with --pprof %v the log is:\n%s", on, log.String())
		}
	}
}
