package verify

import (
	"debug/buildinfo"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/harness/observe"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// signature returns what responses said about the server.
func signature(clients []record.Client) record.Signature {
	for _, c := range clients {
		if c.Server != (record.Signature{}) {
			return c.Server
		}
	}
	return record.Signature{}
}

// describeContainer records what a cause may rest on: how the container is started, and
// how it is told to stop.
func describeContainer(t *record.Target, pod *corev1.PodSpec, c *corev1.Container) {
	t.Container, t.Command = c.Name, append(slices.Clone(c.Command), c.Args...)
	t.ReadinessProbe = c.ReadinessProbe != nil
	t.Grace = 30 * time.Second // the API server's default
	if s := pod.TerminationGracePeriodSeconds; s != nil {
		t.Grace = time.Duration(*s) * time.Second
	}
	if c.Lifecycle == nil {
		return
	}
	if s := c.Lifecycle.StopSignal; s != nil {
		t.StopSignal = string(*s)
	}
	hook := c.Lifecycle.PreStop
	switch {
	case hook == nil:
	case hook.Sleep != nil:
		t.PreStopSleep = time.Duration(hook.Sleep.Seconds) * time.Second
		t.PreStop = "sleep " + t.PreStopSleep.String()
	case hook.Exec != nil:
		t.PreStopByCommand = true
		t.PreStop = strings.Join(hook.Exec.Command, " ")
		t.PreStopSleep = observe.SleepOf(hook.Exec.Command)
	case hook.HTTPGet != nil:
		t.PreStop = "GET " + hook.HTTPGet.Path
	default:
		t.PreStop = "a hook"
	}
}

// serving are modules of Go by which a program serves HTTP, in the order in which they
// tell something: the first that a program has.
var serving = []string{
	"github.com/gofiber/fiber", "github.com/valyala/fasthttp", "github.com/cloudwego/hertz", "github.com/caddyserver/caddy", "github.com/traefik/traefik",
	"github.com/gin-gonic/gin", "github.com/labstack/echo", "github.com/go-chi/chi",
}

// describeProgram describes a program of Go by its module and by what it serves HTTP
// with. It returns nothing for other programs.
func describeProgram(file string) string {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return ""
	}
	text := info.GoVersion
	if info.Main.Path != "" {
		text += " " + info.Main.Path
	}
	for _, m := range serving {
		if strings.HasPrefix(info.Main.Path, m) || slices.ContainsFunc(info.Deps, func(d *debug.Module) bool { return strings.HasPrefix(d.Path, m) }) {
			return text + " with " + m
		}
	}
	return text
}

// describeImage records what is known of the image that the target's container runs.
func (v *verification) describeImage() {
	t := &v.run.Target
	for _, image := range v.Images {
		if image.Name != v.target.container.Image || len(image.Entrypoint) == 0 {
			continue
		}
		if len(v.target.container.Command) == 0 {
			t.Command = append(slices.Clone(image.Entrypoint), v.target.container.Args...)
		}
		if file := image.Files[image.Entrypoint[0]]; file != "" {
			t.Program = describeProgram(file)
		}
	}
}
