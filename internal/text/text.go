// Package text replaces invalid UTF-8 and decodes base64, as browsers and Node.js do.
package text

import (
	"unicode/utf8"
)

const replacement = "\ufffd"

// Valid returns p with U+FFFD in place of invalid UTF-8. If all of p is valid, the result
// is p itself. p is not changed.
//
// A character that is cut short becomes one U+FFFD, and any other byte one of its own,
// as the WHATWG Encoding Standard has it ("UTF-8 decoder").
func Valid(p []byte) []byte {
	if utf8.Valid(p) {
		return p
	}
	out := make([]byte, 0, len(p)+len(p)/2)
	for len(p) > 0 {
		if r, size := utf8.DecodeRune(p); r != utf8.RuneError || size > 1 {
			out, p = append(out, p[:size]...), p[size:]
			continue
		}
		out, p = append(out, replacement...), p[invalidLen(p):]
	}
	return out
}

// invalidLen returns how many bytes at the start of p, which is not UTF-8, could have become
// a character: at least one.
func invalidLen(p []byte) int {
	size, low, high := sequence(p[0])
	n := 1
	for n < min(size, len(p)) && low <= p[n] && p[n] <= high {
		low, high = 0x80, 0xbf
		n++
	}
	return n
}

// sequence returns how long a character is that begins with this byte, and what its second
// byte may be (RFC 3629, section 4).
func sequence(first byte) (size int, low, high byte) {
	switch {
	case first < 0xc2 || first > 0xf4:
		return 1, 0, 0
	case first < 0xe0:
		return 2, 0x80, 0xbf
	case first == 0xe0:
		return 3, 0xa0, 0xbf
	case first == 0xed:
		return 3, 0x80, 0x9f
	case first < 0xf0:
		return 3, 0x80, 0xbf
	case first == 0xf0:
		return 4, 0x90, 0xbf
	case first == 0xf4:
		return 4, 0x80, 0x8f
	default:
		return 4, 0x80, 0xbf
	}
}
