package identify

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/test/products"
)

var update = flag.Bool("update", false, "write the table in docs/identity.md anew")

const (
	doc   = "../../docs/identity.md"
	begin = "<!-- go test ./test/identify -update writes this table -->\n"
	end   = "<!-- end -->\n"
)

// columns are the difficulties in the table.
var columns = []string{"plain", "prefix, redirecting", "TLS, private CA", "slow", "basic auth", "bearer", "login page", "tenant"}

// A matrix is the table of docs/identity.md: what products were found to be under each
// difficulty, and the number of requests that it took.
type matrix struct {
	mu    sync.Mutex
	lines map[string]map[string]string // product -> difficulty -> cell
}

func (m *matrix) note(p *products.Product, difficulty string, id service.Identity, requests int) {
	name := p.Software.Product
	if p.Software.Setup != "" {
		name += ", " + p.Software.Setup
	}
	if p.Software.Debian != "" {
		name += " (Debian's)"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lines[name] == nil {
		m.lines[name] = map[string]string{}
	}
	m.lines[name][difficulty] = fmt.Sprintf("%s, %d", id.Verdict, requests)
}

// line returns the line of a product; empty if some of it is missing, as after a failure.
func (m *matrix) line(name string) string {
	line := "| " + name + " |"
	for _, c := range columns {
		cell := m.lines[name][c]
		if cell == "" {
			return ""
		}
		line += " " + cell + " |"
	}
	return line + "\n"
}

// compare compares the table with that in the documentation, or writes it. Products that
// can't be run here keep their lines.
func (m *matrix) compare(t *testing.T) {
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := bytes.Cut(text, []byte(begin))
	old, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table", doc)
	}
	lines := map[string]string{}
	for line := range strings.Lines(string(old)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && name != "product" {
			lines[name] = line
		}
	}
	for name := range m.lines {
		now := m.line(name)
		if now != "" && lines[name] != now && !*update && !t.Failed() {
			t.Errorf("%s is out of date (go test ./test/identify -update): it has\n%swant\n%s", doc, lines[name], now)
		}
		if now != "" {
			lines[name] = now
		}
	}
	if !*update {
		return
	}
	table := "| product | " + strings.Join(columns, " | ") + " |\n" + strings.Repeat("|---", len(columns)+1) + "|\n"
	names := make([]string, 0, len(lines))
	for name := range lines {
		if !strings.HasPrefix(name, "|---") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		table += lines[name]
	}
	if err := os.WriteFile(doc, slices.Concat(head, []byte(begin+table+end), tail), 0o600); err != nil {
		t.Fatal(err)
	}
}
