package holmesgpt

import (
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// Key is the key of the document in the ConfigMap.
const Key = "holmesgpt-toolsets.yaml"

// keyPrefix begins the keys of all entries that are no built-in toolsets.
const keyPrefix = "discovered/"

// ManyTools is the number of tools from which on a document says that these are too many.
// OpenAI's models accept 128, and HolmesGPT brings about 25 of its own.
const ManyTools = 100

// Options say what a document has.
type Options struct {
	// LeaveOut lists built-in toolsets that it does not configure, since people do that
	// themselves: some of Builtins.
	LeaveOut []string
	// Curl makes all but the first back end of a built-in toolset, and those of no known
	// kind, toolsets of curl commands. Releases before June 2026 need it.
	Curl bool
}

const intro = `# Toolsets for HolmesGPT 0.25 and later, written by dynamic-toolset; changes are overwritten.
# ` + service.Documentation + ` says how
# to load them and which environment variables they use.
`

// nothing is the entry of a document without others, because HolmesGPT does not start with a file without entries.
const nothing = `  dynamic-toolset:
    enabled: false
    description: "Keeps this file from being empty: no back ends were found in the cluster."
    tools: []
`

// A Candidate is a toolset of a document, with what decides about its place among the
// instances of a built-in toolset.
type Candidate struct {
	Fragment *Fragment
	// Pinned means chosen by an administrator, Primary by an annotation.
	Pinned, Primary bool
	// Down means that it has not answered for long. It should not change with a single
	// health check, since HolmesGPT reloads whenever the choice changes.
	Down bool
	// Order decides between equal candidates; the lower is better.
	Order string
}

// better reports whether c is preferred to o, which comes before it.
func (c *Candidate) better(o *Candidate) bool {
	switch {
	case c.Pinned != o.Pinned:
		return c.Pinned
	case c.Primary != o.Primary:
		return c.Primary
	case c.Down != o.Down:
		return o.Down
	}
	return c.Order < o.Order
}

// Document returns the document of all candidates, which must be in a stable order. Its
// head and tail with any of its entries, at least one, are a complete document.
func Document(candidates []Candidate, o Options) service.Document {
	w := &writer{options: o, left: map[slot]int{}}
	for _, s := range slotOrder() {
		w.slot(s, candidates)
	}
	for i := range candidates {
		switch f := candidates[i].Fragment; {
		case f.mcp != nil:
			w.servers = append(w.servers, f.mcp)
		case f.flat == nil:
			w.own(f)
		}
	}
	for _, e := range httpEntries(w.parts) {
		w.add(e, 1)
	}
	return w.document()
}

func slotOrder() (order []slot) {
	for _, b := range builtins {
		if !slices.Contains(order, b.slot) {
			order = append(order, b.slot)
		}
	}
	return order
}

// A writer collects the entries of a document.
type writer struct {
	options Options
	entries [][]byte
	tools   int
	parts   []*httpPart
	servers [][]byte     // in mcp_servers
	left    map[slot]int // how many back ends are left out
}

func (w *writer) add(entry []byte, tools int) {
	w.entries = append(w.entries, entry)
	w.tools += tools
}

// slot adds the back ends of a slot: the best one first, and the others in their order. All
// that it does not take become toolsets of their own.
func (w *writer) slot(s slot, candidates []Candidate) {
	var all []*Fragment
	var best *Candidate
	for i := range candidates {
		c := &candidates[i]
		if c.Fragment.slot != s || c.Fragment.flat == nil {
			continue
		}
		all = append(all, c.Fragment)
		if best == nil || c.better(best) {
			best = c
		}
	}
	if best == nil {
		return
	}
	at := slices.Index(all, best.Fragment)
	all = slices.Insert(slices.Delete(all, at, at+1), 0, best.Fragment)
	names := w.names(s)
	switch {
	case len(names) == 0:
		return // people do it themselves
	case w.options.Curl && s == slotVictoriaLogs: // older releases have no such toolset
		w.own(all...)
		return
	case w.options.Curl && s != slotKafka, s == slotRabbitMQ: // one cluster that is down makes all of RabbitMQ's fail
		w.own(all[1:]...)
		all = all[:1]
	}
	if most := map[bool]int{true: maxKafka, false: maxInstances}[s == slotKafka]; len(all) > most {
		w.left[s] = len(all) - most
		all = all[:most]
	}
	for i := range builtins {
		if b := &builtins[i]; slices.Contains(names, b.name) {
			w.add(b.entry(all), b.tools)
			if len(all) > 1 && s != slotKafka {
				w.tools++ // which lists the instances
			}
		}
	}
	w.add(s.guide(names, all), 0)
}

// names returns the built-in toolsets of a slot that are not left out.
func (w *writer) names(s slot) (names []string) {
	for _, b := range builtins {
		if b.slot == s && !slices.Contains(w.options.LeaveOut, b.name) {
			names = append(names, b.name)
		}
	}
	return names
}

// own adds back ends as toolsets of their own.
func (w *writer) own(fragments ...*Fragment) {
	for _, f := range fragments {
		switch {
		case f.curl != nil && (w.options.Curl || f.entry == nil && f.http == nil):
			w.add(f.curl, f.curls)
		case f.entry != nil:
			w.add(f.entry, f.tools)
		case f.http != nil:
			w.parts = append(w.parts, f.http)
		}
	}
}

func (w *writer) document() service.Document {
	d := service.Document{Key: Key, Head: []byte(intro + "toolsets:\n"), Entries: w.entries, Tools: w.tools}
	if n := len(w.servers); n > 0 {
		d.Tail = append([]byte("mcp_servers:\n"), slices.Concat(w.servers[:min(n, maxServers)]...)...)
	}
	switch {
	case len(w.entries) > 0:
		// In the first entry, not the head: that is in each part of a document that is split,
		// and all of these would be written again for one toolset more.
		w.entries[0] = append([]byte(w.notes()), w.entries[0]...)
	case len(w.servers) > 0:
		d.Head = []byte(intro + "toolsets: {}\n")
	default:
		d.Entries = [][]byte{[]byte(nothing)}
	}
	return d
}

// notes returns comments for people: how many tools there are, and what is left out.
func (w *writer) notes() string {
	var b strings.Builder
	plural, servers := "s", ""
	if w.tools == 1 {
		plural = ""
	}
	if len(w.servers) > 0 {
		servers = ", and those of the MCP servers"
	}
	fmt.Fprintf(&b, "  # They bring %d tool%s%s.\n", w.tools, plural, servers)
	if w.tools >= ManyTools {
		b.WriteString("  # These are too many for some models: OpenAI's accept 128, with those of HolmesGPT itself. Switch some off by overrides.\n")
	}
	for _, s := range slotOrder() {
		if n := w.left[s]; n > 0 {
			fmt.Fprintf(&b, "  # %s: %d more back ends are left out.\n", s, n)
		}
	}
	if n := len(w.servers) - maxServers; n > 0 {
		fmt.Fprintf(&b, "  # mcp_servers: %d more are left out.\n", n)
	}
	return b.String()
}
