package text

import "encoding/base64"

// values has the value of each character of base64's two alphabets, and skip for others.
var values = func() (t [256]byte) { //nolint:gochecknoglobals // a table
	for i := range t {
		t[i] = notBase64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	t['-'], t['_'] = 62, 63
	return t
}()

const notBase64 = 0xff

// Base64 decodes base64 as Node.js does: both alphabets, with and without padding. Other
// characters are skipped, because the official Java client breaks lines. The first equals
// sign is the end. There are no errors.
func Base64(p []byte) []byte {
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(p)))
	if n, err := base64.StdEncoding.Decode(out, p); err == nil {
		return out[:n]
	}
	var bits uint32
	n, have := 0, 0
	for _, c := range p {
		if c == '=' {
			break
		}
		v := values[c]
		if v == notBase64 {
			continue
		}
		if bits, have = bits<<6|uint32(v), have+6; have >= 8 {
			have -= 8
			out[n] = byte(bits >> have) //nolint:gosec // the upper bits have been written
			n++
		}
	}
	return out[:n]
}
