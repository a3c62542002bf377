package gzipjoin

import "hash/crc32"

// A CRC is the CRC-32 (IEEE 802.3, as in gzip) of some bytes. It can be combined with that
// of the bytes that follow, without reading either again.
//
// The CRC of bytes is the remainder of a polynomial over GF(2), divided by the generator.
// To append n bytes, it is multiplied by x^(8n), and the CRC of those bytes is added.
// zlib's crc32_combine does the same.
type CRC struct {
	Sum   uint32
	shift uint32 // x^(8n) modulo the generator, for a CRC of n bytes
}

// CRCOf returns the CRC of b.
func CRCOf(b []byte) CRC { return CRC{crc32.ChecksumIEEE(b), shiftOf(len(b))} }

// Then returns the CRC of the bytes of c followed by those of d.
func (c CRC) Then(d CRC) CRC {
	return CRC{d.After(c.Sum), times(c.shift, d.shift)}
}

// After returns the sum of some bytes, whose own sum is given, followed by those of c.
func (c CRC) After(sum uint32) uint32 { return times(c.shift, sum) ^ c.Sum }

// one is x^0. The highest bit has the lowest power.
const one = uint32(1) << 31

// times multiplies two polynomials modulo the generator. It has no branches, which would
// be mispredicted half of the time.
func times(a, b uint32) (product uint32) {
	for range 32 {
		product ^= b & -(a >> 31)
		a <<= 1
		b = b>>1 ^ crc32.IEEE&-(b&1) // b times x
	}
	return product
}

// squares[i] is x^(8·2^i) modulo the generator.
var squares = func() (s [64]uint32) {
	s[0] = one >> 8
	for i := 1; i < len(s); i++ {
		s[i] = times(s[i-1], s[i-1])
	}
	return s
}()

func shiftOf(n int) uint32 {
	shift := one
	for i := 0; n > 0; i, n = i+1, n>>1 {
		if n&1 != 0 {
			shift = times(squares[i], shift)
		}
	}
	return shift
}
