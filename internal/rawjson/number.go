package rawjson

import (
	"math"
	"strconv"
)

// AppendFloat appends a finite number of that many bits, 32 or 64, as encoding/json
// does, which is what JavaScript's Number.prototype.toString does, except that -0
// keeps its sign.
func AppendFloat(dst []byte, f float64, size int) []byte {
	small, large := 1e-6, 1e21
	if size == 32 {
		small, large = float64(float32(small)), float64(float32(large))
	}
	if abs := math.Abs(f); abs == 0 || small <= abs && abs < large {
		return strconv.AppendFloat(dst, f, 'f', -1, size)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, size)
	// JavaScript does not pad a one-digit exponent: 1e-7, not 1e-07.
	if n := len(dst); dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}
