package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

// picture returns the name of a run's picture.
func (r *result) picture() string { return "soak-" + r.Cluster.Driver + ".svg" }

// tooltip is a title with which an element begins. A picture in a page shows none.
var tooltip = regexp.MustCompile(`<title>[^<]*</title>`)

// withoutTooltips returns a picture with its own title only.
func withoutTooltips(picture []byte) []byte {
	first := true
	return tooltip.ReplaceAllFunc(picture, func(title []byte) []byte {
		if first {
			first = false
			return title
		}
		return nil
	})
}

// page returns the page.
func page(results []*result) []byte {
	var b bytes.Buffer
	sent, restarts := 0, 0
	for _, r := range results {
		sent += r.Summary.Sent
		restarts += r.restarts()
	}
	fmt.Fprintf(&b, "# The soak: 0 of %s requests lost in %d rolling restarts\n\n", format.Grouped(sent), restarts)
	b.WriteString(`<!-- Written by the command below; don't edit. -->

The service, with all client classes at a time, restarted again and again under load. No request is tried again. The runs are
refused if they are shorter than this page is for: 1,000,000 requests over 100 rolling restarts on a simulated cluster, and 100,000 on
kind.

` + "```sh\nmake soak                # on a simulated cluster: half an hour\nmake soak CLUSTER=kind   # on kind; needs Docker\n```\n")
	for _, r := range results {
		r.describe(&b)
	}
	return b.Bytes()
}

// describe writes what one run has measured.
func (r *result) describe(b *bytes.Buffer) {
	stopped := 0
	for i := range r.Pods {
		if !r.Pods[i].TermBegan().IsZero() {
			stopped++
		}
	}
	fmt.Fprintf(b, "\n## %s: 0 of %s lost in %d rolling restarts\n\n", r.Cluster.Driver, format.Grouped(r.Summary.Sent), r.restarts())
	fmt.Fprintf(b, "Measured %s in %s: Kubernetes %s, %d nodes, %d replicas, %s pods told to stop. By\n\n```sh\n%s\n```\n\n", r.Began.UTC().Format("2006-01-02"),
		format.Duration(r.Ended.Sub(r.Began)), r.Cluster.Kubernetes, len(r.Cluster.Nodes), r.Target.Replicas, format.Grouped(stopped), "bin/"+strings.Join(r.Command, " "))
	b.WriteString("| client class | requests | lost | p50 | p99 | max |\n|---|--:|--:|--:|--:|--:|\n")
	for _, c := range r.Summary.Classes {
		p50, p99, most := format.Duration(c.P50), format.Duration(c.P99), format.Duration(c.Max)
		if c.Class == record.Stream {
			p50, p99, most = "-", "-", "-"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", c.Class, format.Grouped(c.Sent), format.Grouped(c.Failed), p50, p99, most)
	}
	fmt.Fprintf(b, "\n![The run, second by second](%s)\n\n| check | must hold | measured |\n|---|---|---|\n", r.picture())
	for _, c := range r.Checks {
		if c.Result != record.NotChecked {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", c.ID, cell(c.Bound), cell(c.Measured))
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(b, "\n%s\n", note)
	}
}

// cell makes text fit into a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(format.Cut(text, 200))
}
