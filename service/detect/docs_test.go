package detect

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// kindRow returns the row of a kind in the table of docs/detection.md.
func kindRow(k *kind) string {
	var ports []string
	for _, p := range k.ports {
		s := strconv.Itoa(int(p.number))
		switch {
		case p.identifies:
			s += "*"
		case len(p.named) > 0:
			s = "(" + s + ")"
		}
		ports = append(ports, s)
	}
	path, health := k.apiPath, k.health.path
	if path == "" {
		path = "/"
	}
	if k.health.port != 0 {
		health = fmt.Sprintf(":%d%s, or a connection", k.health.port, health)
	} else if health == "" {
		health = "a connection"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", k.typ, strings.Join(ports, ", "), path, health)
}

// docs/detection.md lists the kinds and figures as they are.
func TestDetectionPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/detection.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, k := range Default().kinds {
		if row := kindRow(k); !strings.Contains(page, row+"\n") {
			t.Errorf("the page lacks %s", row)
		}
	}
	for _, set := range sets {
		all := readLabelled(t, filepath.Join("testdata", set.dir))
		_, s, _ := measure(all, Default())
		row := fmt.Sprintf("| %s | %d | %d | %.3f | %.3f |", set.dir, len(all), s.truth, ratio(s.right, s.found), ratio(s.right, s.truth))
		if !strings.Contains(page, row+"\n") {
			t.Errorf("the page lacks %s", row)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(Default().kinds) - 6; !strings.Contains(string(readme), fmt.Sprintf("Loki, Tempo and %s more kinds", map[int]string{16: "sixteen", 17: "seventeen"}[n])) {
		t.Errorf("the README names six kinds, and there are %d more", n)
	}
}
