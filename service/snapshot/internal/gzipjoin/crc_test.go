package gzipjoin

import (
	"bytes"
	"hash/crc32"
	"slices"
	"testing"
)

// A joined checksum is that of all bytes.
func FuzzCRC(f *testing.F) {
	f.Add([]byte("begin"), []byte("end"))
	f.Add([]byte{}, []byte{0})
	f.Add(bytes.Repeat([]byte{255}, 70_000), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		joined := slices.Concat(a, b)
		if got := CRCOf(a).Then(CRCOf(b)); got.Sum != crc32.ChecksumIEEE(joined) || got != CRCOf(joined) {
			t.Errorf("%x, want %x", got, CRCOf(joined))
		}
	})
}
