package gzipjoin

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// A compressor that was used before gives the same bytes as a new one: replicas of the
// service must answer with the same.
func TestUsedCompressorsGiveTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- a repeatable test
	for name, c := range map[string]struct{ used, anew func(p []byte) []byte }{
		"member": {DeflateMember, func(p []byte) []byte { return flateCompressors(flate.BestSpeed).compress(p, (*compressor).flush) }},
		"chunk": {DeflateChunk, func(p []byte) []byte {
			return flateCompressors(flate.DefaultCompression).compress(p, (*compressor).flush)
		}},
		"whole": {Whole, func(p []byte) []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			w.Write(p) //nolint:errcheck // a bytes.Buffer takes everything
			w.Close()  //nolint:errcheck
			return b.Bytes()
		}},
	} {
		for range 50 {
			var text []byte
			for range 1 + r.IntN(200) {
				text = fmt.Appendf(text, `,{"name":"back-end-%d","namespace":"shop-%d","enabled":true}`, r.IntN(50), r.IntN(5))
			}
			if !bytes.Equal(c.used(text), c.anew(text)) {
				t.Fatalf("%s: %d bytes are compressed in another way than the first time", name, len(text))
			}
		}
	}
}
