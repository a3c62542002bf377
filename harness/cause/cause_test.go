package cause

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestFind(t *testing.T) {
	command := func(words ...string) func(*record.Target) { return func(t *record.Target) { t.Command = words } }
	server := func(header string) func(*record.Target) { return func(t *record.Target) { t.Server.Server = header } }
	sleeps := func(d time.Duration) func(*record.Target) {
		return func(t *record.Target) { t.PreStop, t.PreStopSleep = "sleep "+d.String(), d }
	}
	for name, c := range map[string]struct {
		run  aRun
		want string   // identifier:lost(onlyBlind), in order
		says []string // somewhere in the causes
		not  []string // nowhere
	}{
		"nothing was lost":   {newRun().stop(6, 8, 0), "", nil, nil},
		"no pod was stopped": {newRun(), "", nil, nil},

		// The signal ends the process.
		"no handler": {
			newRun().stop(-1, 0.02, 143).lose(40, record.New, record.Refused, 10.2, 0.001).lose(3, record.Slow, record.EOFBefore, 8, 2.07, on("a")).
				lose(5, record.Blind, record.EOFBefore, 10.3, 0.001, afterClose, on("a")).lose(2, record.New, record.DialTimeout, 12, 2),
			"no-signal-handler:50(5)",
			[]string{"2 pods of 2 ended", "with exit code 143 (128 + 15: a signal ended it)", "40 connection refused (new)", "Handle SIGTERM", "preStop hook sleep 10 s", "not what is in flight"},
			[]string{"likely"},
		},
		"no handler, Go as PID 1": {
			newRun().target(func(t *record.Target) { t.Program = "go1.26.0 example.com/web" }).stop(-1, 0.02, 2).lose(40, record.New, record.Refused, 20.2, 0.001),
			"no-signal-handler:40(0)", []string{"2 (as a Go program", "signal.NotifyContext", "srv.Shutdown", "Server: Go net/http"}, nil,
		},
		"no handler behind a sleep": {
			newRun().target(sleeps(5*time.Second)).stop(-1, 5.02, 143).lose(30, record.Blind, record.EOFBefore, 15.2, 0.001, afterClose, on("a")),
			"no-signal-handler:30(30)", []string{"had slept 5.0 s before", "kept stay with the pod"}, []string{"preStop hook sleep"},
		},
		"Java ends by 143 after it has drained": {
			newRun().target(command("java", "-jar", "app.jar")).stop(-1, 0.4, 143).lose(40, record.New, record.Refused, 10.6, 0.001),
			"listener-closed-early:40(0)", []string{"refused connections", "Server: Java"}, []string{"no handler"},
		},
		"exits at once, with requests in flight": {
			newRun().stop(-1, 0.02, 0).lose(40, record.New, record.Refused, 10.2, 0.001).lose(3, record.Slow, record.EOFMid, 8, 2.07, on("a")),
			"ends-at-once:43(0)", []string{"with exit code 0.", "with requests in flight"}, nil,
		},
		"crashes on the signal": {
			newRun().stop(-1, 0.02, 1).lose(3, record.Slow, record.ResetBefore, 8, 2.07, on("a")), "ends-at-once:3(0)", []string{"with exit code 1."}, nil,
		},
		"nginx on SIGTERM": {
			newRun().target(server("nginx/1.28.0")).stop(-1, 0.05, 0).lose(9, record.New, record.Refused, 10.2, 0.001).lose(2, record.Slow, record.EOFMid, 8, 2.1),
			"wrong-stop-signal:11(0)", []string{"nginx ends at once on SIGTERM; SIGQUIT is its signal", "STOPSIGNAL SIGQUIT", `"nginx -s quit"`, "ContainerStopSignals"}, nil,
		},
		"nginx on SIGQUIT, as its image says": {
			newRun().target(server("nginx")).target(func(t *record.Target) { t.StopSignal = "SIGQUIT" }).stop(-1, 0.05, 0).lose(9, record.New, record.Refused, 10.2, 0.001),
			"listener-closed-early:9(0)", nil, []string{"ends at once"},
		},
		"Apache on SIGTERM": {
			newRun().target(server("Apache/2.4.65 (Debian)")).stop(-1, 0.05, 0).lose(9, record.New, record.Refused, 10.2, 0.001),
			"wrong-stop-signal:9(0)", []string{"apachectl -k graceful-stop"}, nil,
		},
		"killed for want of memory": {
			func() aRun {
				r := newRun().stop(-1, 3, 137).lose(4, record.New, record.Refused, 14, 0.001)
				r.Pods[0].Reason = "OOMKilled"
				return r
			}(), "killed-early:4(0)", []string{"OOMKilled", "resources.limits.memory"}, nil,
		},

		// It is killed at the end.
		"ignores the signal": {
			newRun().stop(-1, 30, 137).lose(20, record.Blind, record.ResetBefore, 40.1, 0.001, kept, on("a")).lose(4, record.New, record.Refused, 40.4, 0.001),
			"signal-ignored:24(0)", []string{"does nothing on SIGTERM", "grace period of 30.0 s", "Until then they accepted connections", "PID 1"}, []string{"preStop"},
		},
		"a shell has PID 1": {
			newRun().target(command("/bin/sh", "-c", "python app.py --port 8080")).stop(-1, 30, 137),
			"signal-not-passed-on:0(0)", []string{`by "/bin/sh -c python app.py --port 8080"`, "Start it by exec"}, nil,
		},
		"a script that ends in exec": {
			newRun().target(command("sh", "-c", "migrate && exec node app.js")).stop(-1, 30, 137), "signal-ignored:0(0)", []string{"process.on('SIGTERM'"}, nil,
		},
		"npm start": {newRun().target(command("npm", "start")).stop(-1, 30, 137), "signal-not-passed-on:0(0)", nil, nil},
		"uWSGI reloads": {
			newRun().target(command("uwsgi", "--http", ":8080")).stop(-1, 30, 137), "wrong-stop-signal:0(0)", []string{"it reloads", "gracefully_kill_them_all"}, nil,
		},
		"drains for too long": {
			func() aRun {
				r := newRun().stop(-1, 30, 137)
				for i := range r.Pods[0].Probes[5:] {
					if q := &r.Pods[0].Probes[5+i]; q.Status != 0 {
						q.Status = 503
					}
				}
				return r
			}(), "grace-period-too-short:0(0)", []string{"readiness turned to 503", "terminationGracePeriodSeconds"}, nil,
		},
		"it said that it heard": {
			func() aRun {
				r := newRun().stop(-1, 30, 137)
				r.Pods[0].Signalled = at(10.1)
				return r
			}(), "grace-period-too-short:0(0)", []string{"They logged"}, nil,
		},
		"the hook uses the grace period up": {
			newRun().target(sleeps(60*time.Second)).stop(-1, 30, 137), "grace-period-too-short:0(0)", []string{"preStop hook uses up", "sleeps 60.0 s"}, nil,
		},
		"Node waits for kept connections": {
			newRun().target(func(t *record.Target) { t.Server.KeepAlive = "timeout=5" }).stop(0.1, 30, 137).
				serve(record.Pooled, 25, 0.01, kept, on("a")).lose(12, record.Pooled, record.EOFBefore, 40.1, 0.01, kept, on("a")),
			"kept-connections-open:12(0)",
			[]string{"stopped accepting connections 100ms after the signal", "on kept connections were still answered", "server.closeIdleConnections", "A longer grace period only delays"}, nil,
		},
		"streams outlast the grace period": {
			newRun().stop(0.1, 30, 137).lose(6, record.Stream, record.StreamBroken, 1, 39.2, on("a")), "kept-connections-open:6(0)", []string{"6 streams were still open"}, nil,
		},
		"requests outlast the grace period": {
			newRun().stop(0.1, 30, 137).lose(2, record.Slow, record.EOFMid, 9, 31.1, on("a")),
			"grace-period-too-short:2(0)", []string{"2 slow requests were in flight", "longer than the longest request"}, nil,
		},

		// It drains, but loses some.
		"closes its listener at once": {
			newRun().stop(0, 8, 0).lose(40, record.New, record.Refused, 10.2, 0.001).lose(1, record.New, record.DialTimeout, 20.4, 2),
			"listener-closed-early:41(0)", []string{"refused connections 0 s after the signal", "preStop hook sleep 10 s", "1 connection was not even refused"}, nil,
		},
		"the preStop sleep is too short": {
			newRun().target(sleeps(2*time.Second)).stop(2, 8, 0).lose(4, record.New, record.Refused, 14.2, 0.001),
			"listener-closed-early:4(0)", []string{"preStop hook is too short", "sleeps 2.0 s", "sent 2.2 s after the signal"}, nil,
		},
		"Caddy has a setting for it": {
			newRun().target(server("Caddy")).stop(0, 8, 0).lose(4, record.New, record.Refused, 10.2, 0.001), "listener-closed-early:4(0)", []string{"shutdown_delay 10s"}, nil,
		},
		"resets its accept queue": {
			newRun().stop(5, 10, 0).lose(3, record.New, record.ResetBefore, 15.05, 0.002),
			"accept-queue-reset:3(0)", []string{"had not accepted yet", "The process lived on"}, nil,
		},
		"closes idle connections, as the process lives on": {
			newRun().stop(5, 10, 0).lose(20, record.Blind, record.EOFBefore, 15.1, 0.001, afterClose, on("a")).lose(1, record.Pooled, record.EOFBefore, 15.06, 0.001, kept, on("a")),
			"idle-connections-closed:21(20)",
			[]string{"20 of 21 sent after the close had arrived", "1 crossed the close on the way: any client would have lost it", "The process lived on: the server closed them itself", "Connection: close"},
			[]string{"The process ended"},
		},
		"idle connections end with the process": {
			newRun().stop(5, 8, 0).lose(20, record.Blind, record.EOFBefore, 18.1, 0.001, afterClose, on("a")),
			"idle-connections-closed:20(20)", []string{"The process ended then"}, []string{"lived on"},
		},
		"cuts requests, as the process lives on": {
			newRun().stop(5, 10, 0).lose(2, record.Slow, record.ResetMid, 12, 3.1, on("a")), "requests-cut:2(0)", []string{"under way for 3.1 s", "lived on"}, nil,
		},
		"the process ends with requests in flight": {
			newRun().stop(5, 7, 0).lose(2, record.Slow, record.EOFBefore, 12, 5.1, on("a")), "requests-cut:2(0)", []string{"The process ended then"}, nil,
		},
		"cuts streams": {
			newRun().stop(5, 9, 0).lose(6, record.Stream, record.StreamBroken, 1, 9.1, on("a")), "streams-cut:6(0)", []string{"goodbye"}, nil,
		},
		"503 while it drains": {
			newRun().stop(5, 9, 0).lose(6, record.Blind, record.UnexpectedStatus, 11, 0.01, kept, on("a"), answered(503)).lose(2, record.New, record.UnexpectedStatus, 11, 0.01, on("a"), answered(503)),
			"errors-while-stopping:8(0)", []string{"to 2 on new connections, to 6 on kept ones", "6 status 503 (blind)"}, nil,
		},
		"Undertow answers 503": {
			newRun().target(command("java", "-cp", "undertow.jar")).target(server("undertow")).stop(5, 9, 0).lose(6, record.New, record.UnexpectedStatus, 11, 0.01, on("a"), answered(503)),
			"errors-while-stopping:6(0)", []string{"Undertow answers 503"}, nil,
		},
		"taken and not answered": {
			newRun().stop(5, 20, 0).lose(6, record.New, record.ResponseTimeout, 11, 10, on("a")), "taken-but-not-answered:6(0)", []string{"likely"}, nil,
		},
		"several causes, the worst first": {
			newRun().stop(0, 10, 0).lose(9, record.Blind, record.EOFBefore, 10.2, 0.001, afterClose, on("a")).lose(5, record.New, record.Refused, 10.2, 0.001).lose(2, record.Slow, record.EOFMid, 9, 3.1, on("a")),
			"listener-closed-early:5(0) requests-cut:2(0) idle-connections-closed:9(9)", nil, nil,
		},

		// No pod was stopping.
		"a new pod is not ready": {
			func() aRun {
				r := newRun().target(func(t *record.Target) { t.ReadinessProbe = false }).lose(7, record.New, record.Refused, 31, 0.001)
				r.Pods = append(r.Pods, record.Pod{Name: "c", Created: at(30), Ready: at(30.8)})
				return r
			}(), "ready-too-early:7(0)", []string{"no readiness probe", "Give the container a readiness probe"}, nil,
		},
		"a new pod is not ready, while an old one still serves": {
			func() aRun {
				r := newRun().target(func(t *record.Target) { t.ReadinessProbe = false }).target(sleeps(5*time.Second)).stop(5, 8, 0).lose(7, record.New, record.Refused, 11, 0.001)
				r.Pods = append(r.Pods, record.Pod{Name: "c", Created: at(10), Ready: at(10)})
				return r
			}(), "ready-too-early:7(0)", []string{"Give the container a readiness probe"}, nil,
		},
		"the record names the new pod": {
			func() aRun {
				r := newRun().stop(0, 8, 0).lose(7, record.New, record.Refused, 11, 0.001, on("c"))
				r.Pods = append(r.Pods, record.Pod{Name: "c", Created: at(10), Ready: at(10)})
				return r
			}(), "ready-too-early:7(0)", []string{"has a readiness probe; it passes before", "likely"}, nil,
		},
		"gunicorn exits with 2": {
			newRun().target(command("gunicorn", "app:app")).stop(-1, 0.02, 2).lose(3, record.Slow, record.EOFMid, 8, 2.07, on("a")),
			"ends-at-once:3(0)", []string{"with exit code 2."}, []string{"Go program"},
		},
		"its own idle timeout": {
			newRun().stop(5, 9, 0).lose(7, record.Blind, record.EOFBefore, 5, 0.001, afterClose, on("a")), "idle-timeout:7(7)", []string{"No pod was being stopped", "likely"}, nil,
		},
		"a container restarts": {
			func() aRun {
				r := newRun().lose(7, record.New, record.Refused, 31, 0.001)
				r.Pods = append(r.Pods, record.Pod{Name: "c", Created: at(-30), Ready: at(-20), Restarts: 2})
				return r
			}(), "container-restarted:7(0)", []string{"2 restarts in 1 pod"}, nil,
		},
		"a slow start without a probe": {
			func() aRun {
				byNode := func(q *record.Request) { q.PodBy = record.ByTracking }
				r := newRun().lose(7, record.New, record.Refused, 38, 0.001, on("c"), byNode).serve(record.New, 40, 0.1, on("c")).lose(1, record.New, record.Refused, 45, 0.001, on("c"), byNode)
				r.Pods = append(r.Pods, record.Pod{Name: "c", Created: at(30), Ready: at(30.8)})
				return r.target(func(t *record.Target) { t.ReadinessProbe = false })
			}(), "ready-too-early:7(0) unknown:1(0)", []string{"has no readiness probe", "Give the container a readiness probe"}, nil,
		},
		"wrong answers":   {newRun().lose(7, record.New, record.WrongBody, 31, 0.001), "wrong-answer:7(0)", []string{"detail 0"}, nil},
		"unknown":         {newRun().lose(7, record.New, record.ResponseTimeout, 31, 5), "unknown:7(0)", []string{"No pod was being stopped", "likely"}, nil},
		"503 without end": {newRun().lose(7, record.New, record.UnexpectedStatus, 31, 0.001, answered(503)), "unknown:7(0)", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c.run.Causes = Find(c.run.Run)
			var got []string
			var text strings.Builder
			for _, one := range c.run.Causes {
				got = append(got, fmt.Sprintf("%s:%d(%d)", one.ID, one.Lost, one.OnlyBlind))
				fmt.Fprintf(&text, "%s. %s %s %s Server: %s\n", one.Title, strings.Join(one.Evidence, " "), one.InServer, one.InKubernetes, one.Server)
				if one.Likely {
					text.WriteString("likely\n")
				}
				if one.Title == "" || len(one.Evidence) == 0 || one.Lost > 0 && one.First.IsZero() {
					t.Errorf("incomplete: %+v", one)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
			for _, want := range c.says {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q is not said in:\n%s", want, &text)
				}
			}
			for _, unwanted := range c.not {
				if strings.Contains(text.String(), unwanted) {
					t.Errorf("%q is said in:\n%s", unwanted, &text)
				}
			}
			lost := 0
			for i := range c.run.Requests {
				if c.run.Requests[i].Failed() {
					lost++
				}
			}
			for _, one := range c.run.Causes {
				lost -= one.Lost
			}
			if lost != 0 {
				t.Errorf("%d lost requests have no cause, or two", lost)
			}
		})
	}
}

// The losses that any client would have had come first, and pods are in the record's order.
func TestPodsOfACause(t *testing.T) {
	r := newRun().stop(5, 10, 0).lose(1, record.Blind, record.EOFBefore, 25.1, 0.001, afterClose, on("b")).lose(2, record.Blind, record.EOFBefore, 15.1, 0.001, afterClose, on("a"))
	causes := Find(r.Run)
	if len(causes) != 1 || !slices.Equal(causes[0].Pods, []string{"a", "b"}) || !causes[0].First.Equal(at(15.101)) {
		t.Errorf("%+v", causes)
	}
}

func TestPatch(t *testing.T) {
	refused := func(r aRun) aRun { return r.stop(0, 8, 0).lose(4, record.New, record.Refused, 10.2, 0.001) }
	const head = "spec:\n  template:\n    spec:\n"
	for name, c := range map[string]struct {
		run  aRun
		want string
	}{
		"nothing to change": {newRun().stop(6, 8, 0), ""},
		"a sleep": {refused(newRun()), head + `      terminationGracePeriodSeconds: 40
      containers:
      - name: app
        lifecycle:
          preStop:
            sleep:
              seconds: 10
`},
		"a sleep before Kubernetes 1.30": {refused(aRun{func() *record.Run { r := newRun(); r.Cluster.Kubernetes = "v1.28.9-gke.1"; return r.Run }()}), head + `      terminationGracePeriodSeconds: 40
      containers:
      - name: app
        lifecycle:
          preStop:
            exec:
              command: ["sleep","10"]
`},
		"a longer sleep in place of a command": {
			refused(newRun().target(func(t *record.Target) {
				t.PreStop, t.PreStopByCommand, t.PreStopSleep = "sleep 3", true, 3*time.Second
			}).lose(1, record.New, record.Refused, 19, 0.001)),
			head + `      terminationGracePeriodSeconds: 37
      containers:
      - name: app
        lifecycle:
          preStop:
            sleep:
              seconds: 10
            exec: null
`},
		"a hook of the user's own stays": {refused(newRun().target(func(t *record.Target) { t.PreStop, t.PreStopByCommand = "/drain.sh", true })), ""},
		"nginx": {
			newRun().target(func(t *record.Target) { t.Server.Server = "nginx" }).stop(-1, 0.05, 0).lose(2, record.Slow, record.EOFMid, 8, 2.1),
			head + `      terminationGracePeriodSeconds: 40
      containers:
      - name: app
        lifecycle:
          preStop:
            exec:
              command: ["/bin/sh","-c","sleep 10; nginx -s quit; sleep 3600"]
`},
		"a shell": {newRun().target(func(t *record.Target) { t.Command = []string{"sh", "-c", "./web --who 'me & you'"} }).stop(-1, 30, 137), ""},
		"a simple shell": {newRun().target(func(t *record.Target) { t.Command = []string{"sh", "-c", "./web --who 'me'"} }).stop(-1, 30, 137), head + `      containers:
      - name: app
        command: ["sh","-c","exec ./web --who 'me'"]
        args: null
`},
		"no readiness probe": {
			func() aRun {
				r := newRun().target(func(t *record.Target) { t.ReadinessProbe = false }).lose(7, record.New, record.Refused, 31, 0.001)
				r.Pods = append(r.Pods, record.Pod{Name: "c", Created: at(30), Ready: at(30.8)})
				return r
			}(), head + `      containers:
      - name: app
        readinessProbe:
          httpGet: {path: "/", port: 8080}
          periodSeconds: 1
`},
	} {
		t.Run(name, func(t *testing.T) {
			c.run.Causes = Find(c.run.Run)
			if got := Patch(c.run.Run); got != c.want {
				t.Errorf("%s\nnot\n%s", got, c.want)
			}
		})
	}
	r := newRun()
	r.Target.Kind = "StatefulSet"
	if got, want := Command(r.Run, "it's\n"), "kubectl -n shop patch statefulset web --patch '\nit'\\''s\n'"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
