package report

import (
	"fmt"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/cause"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// maxCausePods bounds the pods that are named with a cause.
const maxCausePods = 3

type causeView struct {
	ID, Title, Lost, Pods          string
	Server, InServer, InKubernetes string
	Manifest, InProxy              string
	Evidence                       []string
	Mild                           bool // no client that looks lost a request
}

func causeViews(run *record.Run) []causeView {
	var out []causeView
	for i := range run.Causes {
		c := &run.Causes[i]
		v := causeView{
			ID: c.ID, Title: titleOf(c), Lost: lostBy(c), Pods: podsOf(c), Server: serverName(c),
			InServer: format.Cut(c.InServer, 1000), InKubernetes: format.Cut(c.InKubernetes, 1000), Mild: c.Lost == c.OnlyBlind,
			Manifest: manifestOf(c), InProxy: format.Cut(c.InProxy, 1000),
		}
		for _, e := range c.Evidence {
			v.Evidence = append(v.Evidence, format.Cut(e, 500))
		}
		out = append(out, v)
	}
	return out
}

// podsOf names the pods where a cause was seen.
func podsOf(c *record.Cause) string {
	var names []string
	for _, name := range c.Pods[:min(len(c.Pods), maxCausePods)] {
		names = append(names, format.Cut(name, 253))
	}
	if more := len(c.Pods) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%s more", format.Grouped(more)))
	}
	return strings.Join(names, ", ")
}

// patchCommand returns the command that changes what can be changed in the manifest.
func patchCommand(run *record.Run) string {
	return format.Cut(cause.Command(run, cause.Patch(run)), 4000)
}
