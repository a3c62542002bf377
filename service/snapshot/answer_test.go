package snapshot_test

import (
	"bytes"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/snapshot"
)

// inPieces returns the pieces, and how many there are.
func inPieces(p interface{ Piece(i int) []byte }) (all []byte, n int) {
	for ; p.Piece(n) != nil; n++ {
		all = append(all, p.Piece(n)...)
	}
	return all, n
}

// isOne reports whether the next one who sends a gets one piece.
func isOne(a *snapshot.Answer) bool {
	p, _ := a.Pieces(false)
	_, n := inPieces(p)
	return n == 1
}

// listOf returns a catalogue of n toolsets.
func listOf(n int) *catalogue.Catalogue {
	var all []*corev1.Service
	for i := range n {
		all = append(all, alone(svc("shop", fmt.Sprintf("jaeger-%05d", i), "jaeger", 16686, nil)))
	}
	return newCatalogue(all...)
}

// A list of less than a megabyte that is sent often is copied into one piece. Those that
// are sent at that time have their pieces to the end, and the next snapshot begins anew.
func TestAnswersThatAreSentOftenAreOnePiece(t *testing.T) {
	large := listOf(3000).Snapshot().Toolsets().Answer
	c := listOf(500)
	a := c.Snapshot().Toolsets().Answer
	want := a.JSON()
	first, size := a.Pieces(false)
	_, before := inPieces(first)
	if size != len(want) || before < 10 {
		t.Fatalf("%d bytes of %d in %d pieces", size, len(want), before)
	}
	for range 300 {
		if _, size := large.Pieces(false); size < 1<<20 {
			t.Fatalf("the large list has %d bytes", size)
		}
	}
	for range 300 {
		if _, size := a.Pieces(false); size != len(want) {
			t.Fatalf("%d bytes, not %d", size, len(want))
		}
	}
	testenv.Eventually(t, testenv.Patience, "the list is one piece", func() bool { return isOne(a) })
	if isOne(large) {
		t.Error("the large list was copied")
	}
	last, _ := a.Pieces(false)
	for _, p := range []interface{ Piece(i int) []byte }{first, last} {
		if got, n := inPieces(p); !bytes.Equal(got, want) {
			t.Errorf("other bytes in %d pieces: %d, not %d", n, len(got), len(want))
		}
	}
	if _, n := inPieces(first); n != before {
		t.Errorf("%d pieces became %d while they were sent", before, n)
	}
	c.Upsert(alone(svc("shop", "jaeger-00025", "jaeger", 16686, map[string]string{"kubernaut.io/toolset-description": "another"})))
	c.Build()
	anew, size := c.Snapshot().Toolsets().Answer.Pieces(false)
	if got, n := inPieces(anew); n < 10 || len(got) != size || bytes.Equal(got, want) {
		t.Errorf("after a change: %d bytes of %d in %d pieces", len(got), size, n)
	}
}
