package configmap

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/output/holmesgpt"
	"kubernaut.io/dynamic-toolset/service/output/kubernaut"
)

// many returns a document of n entries of these sizes, in the form of toolset.json.
func many(n int, size func(i int) int) []service.Document {
	d := service.Document{Key: kubernaut.Key, Head: []byte(`{"tools":[`), Separator: []byte(","), Tail: []byte("\n]}\n")}
	for i := range n {
		d.Entries = append(d.Entries, entry(i, size(i)-len(d.Head)-len(d.Tail)-1))
	}
	return []service.Document{d}
}

// entry returns an entry for the toolset t00i, of about this size.
func entry(i, size int) []byte {
	e := fmt.Sprintf("\n"+`{"name":"t%05d","namespace":"n","description":""}`, i)
	return []byte(strings.Replace(e, `""`, `"`+strings.Repeat("x", max(0, size-len(e)))+`"`, 1))
}

var smallLimits = limits{whole: 4000, again: 3000, partMin: 2000, partMax: 4000, spare: 16 << 10, gap: 50 * time.Millisecond}

func TestSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 10, 100, 3000} {
		d := &many(n, func(int) int { return 60 + r.IntN(300) })[0]
		parts, err := split(d, smallLimits)
		if err != nil {
			t.Fatal(err)
		}
		var entries [][]byte
		for i, p := range parts {
			text := p.doc.Bytes()
			entries = append(entries, p.doc.Entries...)
			if !json.Valid(text) || len(text) != p.size || p.sum != sha256.Sum256(text) {
				t.Fatalf("part %d of %d is no document: %s", i, n, text)
			}
			if p.size > smallLimits.partMax || i < len(parts)-1 && p.size < smallLimits.partMin {
				t.Errorf("part %d of %d entries has %d bytes", i, n, p.size)
			}
		}
		if !bytes.Equal(bytes.Join(entries, nil), bytes.Join(d.Entries, nil)) {
			t.Errorf("entries got lost, of %d", n)
		}
	}
}

// A small change changes few parts, wherever it is.
func TestSplitIsStable(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	d := many(10_000, func(int) int { return 150 + r.IntN(300) })[0]
	l := limits{partMin: 48 << 10, partMax: 96 << 10}
	sums := func(d service.Document) map[sum]bool {
		parts, err := split(&d, l)
		if err != nil {
			t.Fatal(err)
		}
		all := map[sum]bool{}
		for _, p := range parts {
			all[p.sum] = true
		}
		return all
	}
	before := sums(d)
	altered, worst := 0, 0
	const rounds = 60
	for i := range rounds {
		at := r.IntN(len(d.Entries))
		changed := d
		changed.Entries = append([][]byte(nil), d.Entries[:at]...)
		switch i % 3 {
		case 0: // one is gone
			changed.Entries = append(changed.Entries, d.Entries[at+1:]...)
		case 1: // one more
			changed.Entries = append(append(changed.Entries, entry(99_999, 200)), d.Entries[at:]...)
		case 2: // another one
			changed.Entries = append(append(changed.Entries, entry(99_999, 250)), d.Entries[at+1:]...)
		}
		n := 0
		for s := range sums(changed) {
			if !before[s] {
				n++
			}
		}
		altered += n
		worst = max(worst, n)
	}
	t.Logf("%d parts; a change alters %.2f of them, at most %d", len(before), float64(altered)/rounds, worst)
	if altered > 2*rounds || worst > len(before)/2 {
		t.Errorf("of %d parts, %d changes altered %d, at most %d at once", len(before), rounds, altered, worst)
	}
}

func TestSplitRefuses(t *testing.T) {
	for what, docs := range map[string][]service.Document{
		"an entry": many(1, func(int) int { return 5000 }),
		"a frame":  {{Key: kubernaut.Key, Head: make([]byte, 4001)}},
		"too many": many(100, func(int) int { return 3000 }),
	} {
		if _, err := splitAll(docs, smallLimits); !errors.Is(err, errTooLarge) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestIndex(t *testing.T) {
	docs := append(many(50, func(int) int { return 200 }), service.Document{Key: holmesgpt.Key, Head: []byte("{}\n")})
	parts, err := splitAll(docs, smallLimits)
	if err != nil {
		t.Fatal(err)
	}
	var places []placed
	want := map[int]held{}
	for i, p := range parts {
		places = append(places, placed{2 * (i + 1), p})
		want[2*(i+1)] = held{p.doc.Key, p.sum}
	}
	text := indexOf("toolset", places)
	if got := parseIndex("toolset", string(text)); !maps.Equal(got, want) {
		t.Errorf("%v becomes %v:\n%s", want, got, text)
	}
	var idx Index
	if err := json.Unmarshal(text, &idx); err != nil {
		t.Fatal(err)
	}
	if len(idx.Documents) != 2 || idx.Documents[0].Entries != 50 || idx.Documents[0].Bytes < docs[0].Size() || idx.Documents[1].Parts[0].Bytes != 3 {
		t.Errorf("%s", text)
	}
	if len(parseIndex("other", string(text))) != 0 {
		t.Error("parts of another ConfigMap were taken for ours")
	}
}

// Whatever somebody writes into the index, it can name only our parts.
func FuzzParseIndex(f *testing.F) {
	f.Add(`{"version":1,"documents":[{"key":"k","parts":[{"name":"toolset-1","sha256":"` + strings.Repeat("ab", 32) + `"}]}]}`)
	f.Add(`{"version":1,"documents":[{"parts":[{"name":"toolset-65","sha256":""},{"name":"toolset-01"},{"name":"kube-root-ca.crt"}]}]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		for n, h := range parseIndex("toolset", text) {
			if n < 1 || n > PartNames || !strings.Contains(strings.ToLower(text), h.sum.String()) {
				t.Errorf("%q: %d, %v", text, n, h)
			}
			if back, ok := partNumber("toolset", PartName("toolset", n)); !ok || back != n {
				t.Errorf("%d becomes %d", n, back)
			}
		}
	})
}

// Whatever the sizes of the entries, the parts put together are the document.
func FuzzSplit(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint16(200))
	f.Add(bytes.Repeat([]byte{40, 1, 255}, 300), uint16(4000))
	f.Fuzz(func(t *testing.T, sizes []byte, most uint16) {
		l := limits{partMin: int(most) / 2, partMax: int(most)}
		d := &service.Document{Key: "k", Head: []byte("<"), Separator: []byte(", "), Tail: []byte(">")}
		for i, n := range sizes {
			d.Entries = append(d.Entries, bytes.Repeat([]byte{byte(i)}, int(n)))
		}
		parts, err := split(d, l)
		if err != nil {
			if !errors.Is(err, errTooLarge) {
				t.Error(err)
			}
			return
		}
		n := 0
		for i, p := range parts {
			if p.size != len(p.doc.Bytes()) || p.size > l.partMax || p.sum != sha256.Sum256(p.doc.Bytes()) || i > 0 && len(p.doc.Entries) == 0 {
				t.Fatalf("part %d has %d bytes, %d entries", i, p.size, len(p.doc.Entries))
			}
			for _, e := range p.doc.Entries {
				if !bytes.Equal(e, d.Entries[n]) {
					t.Fatalf("entry %d is another one", n)
				}
				n++
			}
		}
		if n != len(d.Entries) {
			t.Errorf("%d of %d entries", n, len(d.Entries))
		}
	})
}
