package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Text written by hand stays, however often the section is written.
func TestDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "docs", "clusters.md")
	write := func(section string) string {
		t.Helper()
		d, err := readDocument(path)
		if err == nil {
			err = d.write(section)
		}
		text, readErr := os.ReadFile(path)
		if err != nil || readErr != nil {
			t.Fatal(err, readErr)
		}
		return string(text)
	}
	first := write("\none\n\n")
	if want := strings.Replace(newDocument, endMark, "\none\n\n"+endMark, 1); first != want {
		t.Errorf("%s\nnot\n%s", first, want)
	}
	byHand := first + "By hand.\n"
	if err := os.WriteFile(path, []byte(byHand), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := write("\ntwo\n\n"), strings.Replace(byHand, "\none\n", "\ntwo\n", 1); got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
}

// The project's own document can be updated, and has every case.
func TestOwnDocument(t *testing.T) {
	const path = "../../../docs/verification/clusters.md"
	if _, err := readDocument(path); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases() {
		row(t, string(text), name(&c))
	}
}

func TestDocumentWithoutMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clusters.md")
	for _, text := range []string{
		"", "# Mine\n", beginMark, endMark, endMark + beginMark, beginMark + endMark + endMark, endMark + beginMark + endMark,
		beginMark + beginMark + endMark, beginMark + endMark + beginMark,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readDocument(path); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(endMark)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
