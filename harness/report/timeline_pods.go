package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/format"
)

const (
	rowHeight   = 24
	denseRow    = 20 // if there are many pods
	barHeight   = 10
	groupHeight = 18
	// maxRows bounds the pods that are drawn, those with trouble first. Of the others there
	// are at most maxQuietRows, as each looks like the one before it.
	maxRows, maxQuietRows = 120, 20
)

// A podGroup has the pods of one revision.
type podGroup struct {
	revision string
	pods     []int // indexes in record.Run.Pods
}

// pods draws a bar for each pod, by revision, with its events and its lost requests.
func (t *timeline) pods() {
	t.y = t.panel("pods, by revision", "") - 2
	height := float64(rowHeight)
	if len(t.run.Pods) > 24 {
		height = denseRow
	}
	groups, beyond := podGroups(t.run, t.s)
	t.rowsBeyond = beyond
	lines := map[string]float64{} // the middle of each pod's row
	if t.s.PodUnknown > 0 {
		t.Text(plotLeft-8, t.y+height/2+4, "podname end lostname", "pod unknown")
		lines[""] = t.y + height/2
		t.lostCount(t.s.PodUnknown, lines[""])
		t.Leaf("line", "class", "rowline", "x1", plotLeft, "x2", plotRight, "y1", t.y+height/2, "y2", t.y+height/2)
		t.y += height
	}
	for _, g := range groups {
		t.Text(plotLeft-8, t.y+12, "group end", "revision")
		t.Text(plotLeft, t.y+12, "group", format.Cut(cmp.Or(g.revision, "-"), 40))
		t.y += groupHeight
		for _, i := range g.pods {
			p := &t.run.Pods[i]
			middle := t.y + height/2
			lines[p.Name] = middle
			t.podRow(p, &t.s.Pods[i], middle)
			t.y += height
			t.rows++
		}
	}
	t.lostMarks(lines)
	t.y += 4
}

// podGroups groups the pods by revision. Groups, and pods within them, are in the order
// of creation.
func podGroups(run *record.Run, s *Summary) (groups []podGroup, beyond int) {
	order := make([]int, len(run.Pods))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return trouble(&run.Pods[b], &s.Pods[b]) - trouble(&run.Pods[a], &s.Pods[a])
	})
	quiet := slices.IndexFunc(order, func(i int) bool { return trouble(&run.Pods[i], &s.Pods[i]) == 0 })
	if quiet < 0 {
		quiet = len(order)
	}
	shown := min(len(order), maxRows, quiet+maxQuietRows)
	order, beyond = order[:shown], len(order)-shown
	slices.SortStableFunc(order, func(a, b int) int {
		if c := run.Pods[a].Created.Compare(run.Pods[b].Created); c != 0 {
			return c
		}
		if c := run.Pods[a].TermBegan().Compare(run.Pods[b].TermBegan()); c != 0 {
			return c
		}
		return strings.Compare(run.Pods[a].Name, run.Pods[b].Name)
	})
	for _, i := range order {
		at := slices.IndexFunc(groups, func(g podGroup) bool { return g.revision == run.Pods[i].Revision })
		if at < 0 {
			at = len(groups)
			groups = append(groups, podGroup{revision: run.Pods[i].Revision})
		}
		groups[at].pods = append(groups[at].pods, i)
	}
	return groups, beyond
}

// trouble returns how much there is to see about a pod.
func trouble(p *record.Pod, s *PodSummary) int {
	n := s.Failed
	if p.ExitCode != nil && *p.ExitCode != 0 {
		n++
	}
	if p.Lost {
		n++
	}
	return n + p.Restarts
}

func (t *timeline) podRow(p *record.Pod, s *PodSummary, middle float64) {
	t.Open("g", "class", "pod")
	t.Open("text", "x", plotLeft-8, "y", middle+4, "class", "podname end")
	t.Title(t.podTip(p, s))
	t.Escape(shortPod(p, t.run.Target.Name))
	t.Close("text")
	t.zoomed()
	end := t.s.To
	begin := p.Created
	if begin.IsZero() {
		begin = t.s.From
	}
	term := p.Deleted
	if term.IsZero() || (!p.Signalled.IsZero() && p.Signalled.Before(term)) {
		term = p.TermBegan()
	}
	exited := first(p.Exited, p.Gone, end)
	stop := first(term, exited)
	t.bar("starting", "starting", begin, first(p.Ready, stop), middle, barHeight)
	if !p.Ready.IsZero() {
		t.bar("ready", "ready", p.Ready, stop, middle, barHeight)
	}
	if !term.IsZero() {
		t.bar("terminating", "terminating", term, exited, middle, barHeight)
	}
	if !p.Exited.IsZero() {
		t.bar("gone", "ended, not yet removed", p.Exited, first(p.Gone, end), middle, 3)
	}
	t.unzoomed()
	t.zoomedIn("marks")
	t.podMarks(p, middle)
	t.unzoomed()
	t.lostCount(s.Failed, middle)
	t.Close("g")
}

// lostCount writes the number of lost requests at the end of a row, since marks that
// are close together can't be counted.
func (t *timeline) lostCount(n int, middle float64) {
	if n > 0 {
		t.Text(plotRight+18, middle+4, "lostcount", format.Grouped(n)+" lost")
	}
}

// bar draws one period of a pod's life.
func (t *timeline) bar(class, name string, from, to time.Time, middle, height float64) {
	if !to.After(from) || !to.After(t.s.From) || from.After(t.s.To) {
		return
	}
	x, end := t.axis.x(from), t.axis.x(to)
	t.Titled("rect", name+": "+offset(t.s.From, from)+" to "+offset(t.s.From, to)+" ("+format.Duration(to.Sub(from))+")",
		"class", class, "x", x, "y", middle-height/2, "width", max(end-x, 0.5), "height", height)
}

// podTip returns the tooltip of a pod's name.
func (t *timeline) podTip(p *record.Pod, s *PodSummary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nnode %s, %s\n%s served, %s lost", format.Cut(p.Name, 253), format.Cut(cmp.Or(p.Node, "-"), 100), format.Cut(cmp.Or(p.IP, "-"), 64), format.Grouped(s.Served), format.Grouped(s.Failed))
	if p.Restarts > 0 {
		fmt.Fprintf(&b, "\nits container was restarted %d times", p.Restarts)
	}
	if p.Lost {
		b.WriteString("\nit went without the kubelet's word: nothing can be said of its end")
	}
	return b.String()
}

// shortPod returns the pod's name without the parts that all pods of its group share.
func shortPod(p *record.Pod, target string) string {
	name := p.Name
	if _, deployment, ok := strings.Cut(target, "/"); ok {
		name = strings.TrimPrefix(name, deployment+"-")
	}
	if p.Revision != "" {
		name = strings.TrimPrefix(name, p.Revision+"-")
	}
	if name == "" {
		name = p.Name
	}
	if r := []rune(name); len(r) > 18 {
		return "..." + string(r[len(r)-15:]) // the end is what differs
	}
	return name
}

// first returns the first time that is not zero.
func first(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
