package rawjson

import (
	"math/bits"
	"strings"
)

// The functions of this file that are not exported take the index where something
// starts and return the index behind it, or bad.
const bad = -1

// A List is the place of an array's parts.
type List struct {
	N        int // number of elements
	First    int // where the first element starts
	FirstEnd int // behind the first element
	End      int // behind the closing bracket
}

// Scan reports whether p is one JSON value with at most depth arrays and objects
// inside each other. Space around it is fine. It does not look at UTF-8.
func Scan(p []byte, depth int) bool {
	end := scanValue(p, SkipSpace(p, 0), depth)
	return end != bad && SkipSpace(p, end) == len(p)
}

// scanValue scans a value that may open depth more levels.
func scanValue(p []byte, i, depth int) int {
	if i >= len(p) {
		return bad
	}
	switch p[i] {
	case '"':
		return scanString(p, i+1)
	case '{':
		return scanObject(p, i+1, depth-1)
	case '[':
		return scanList(p, i+1, depth-1).End
	case 't':
		return scanLiteral(p, i, "true")
	case 'f':
		return scanLiteral(p, i, "false")
	case 'n':
		return scanLiteral(p, i, "null")
	default:
		return scanNumber(p, i)
	}
}

// ScanList is [Scan] for an array. Space in front of it is not fine.
func ScanList(p []byte, depth int) (l List, ok bool) {
	if len(p) == 0 || p[0] != '[' {
		return List{}, false
	}
	l = scanList(p, 1, depth-1)
	return l, l.End != bad && SkipSpace(p, l.End) == len(p)
}

// scanList scans what stands behind an opening bracket.
func scanList(p []byte, i, depth int) List {
	if depth < 0 {
		return List{End: bad}
	}
	i = SkipSpace(p, i)
	if i < len(p) && p[i] == ']' {
		return List{End: i + 1}
	}
	l := List{First: i}
	for {
		i = scanValue(p, i, depth)
		if i == bad {
			return List{End: bad}
		}
		if l.N++; l.N == 1 {
			l.FirstEnd = i
		}
		i = SkipSpace(p, i)
		switch {
		case i < len(p) && p[i] == ',':
			i = SkipSpace(p, i+1)
		case i < len(p) && p[i] == ']':
			l.End = i + 1
			return l
		default:
			return List{End: bad}
		}
	}
}

// scanObject scans what stands behind an opening brace.
func scanObject(p []byte, i, depth int) int {
	if depth < 0 {
		return bad
	}
	i = SkipSpace(p, i)
	if i < len(p) && p[i] == '}' {
		return i + 1
	}
	for {
		if i = scanMember(p, i, depth); i == bad {
			return bad
		}
		i = SkipSpace(p, i)
		switch {
		case i < len(p) && p[i] == ',':
			i = SkipSpace(p, i+1)
		case i < len(p) && p[i] == '}':
			return i + 1
		default:
			return bad
		}
	}
}

// scanMember scans a name, a colon and a value.
func scanMember(p []byte, i, depth int) int {
	if i >= len(p) || p[i] != '"' {
		return bad
	}
	if i = scanString(p, i+1); i == bad {
		return bad
	}
	if i = SkipSpace(p, i); i >= len(p) || p[i] != ':' {
		return bad
	}
	return scanValue(p, SkipSpace(p, i+1), depth)
}

// scanString scans what stands behind an opening quote.
func scanString(p []byte, i int) int {
	for {
		i = special(p, i)
		switch {
		case i == len(p):
			return bad
		case p[i] == '"':
			return i + 1
		case p[i] != '\\': // a control character, which must be escaped
			return bad
		}
		if i = scanEscape(p, i+1); i == bad {
			return bad
		}
	}
}

// scanEscape scans what stands behind a backslash. A surrogate without its
// other half is legal JSON.
func scanEscape(p []byte, i int) int {
	if i >= len(p) {
		return bad
	}
	if p[i] != 'u' {
		if strings.IndexByte(`"\/bfnrt`, p[i]) < 0 {
			return bad
		}
		return i + 1
	}
	if len(p)-i < 5 {
		return bad
	}
	for _, c := range p[i+1 : i+5] {
		if !isHex(c) {
			return bad
		}
	}
	return i + 5
}

func scanLiteral(p []byte, i int, literal string) int {
	end := i + len(literal)
	if end > len(p) || string(p[i:end]) != literal {
		return bad
	}
	return end
}

func scanNumber(p []byte, i int) int {
	if i < len(p) && p[i] == '-' {
		i++
	}
	if i < len(p) && p[i] == '0' {
		i++ // a leading zero stands alone
	} else if i = scanDigits(p, i); i == bad {
		return bad
	}
	if i < len(p) && p[i] == '.' {
		if i = scanDigits(p, i+1); i == bad {
			return bad
		}
	}
	if i < len(p) && (p[i] == 'e' || p[i] == 'E') {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		i = scanDigits(p, i)
	}
	return i
}

// scanDigits scans at least one digit.
func scanDigits(p []byte, i int) int {
	start := i
	for i < len(p) && IsDigit(p[i]) {
		i++
	}
	if i == start {
		return bad
	}
	return i
}

// SkipSpace returns the index of the first byte from i on that is not space.
func SkipSpace(p []byte, i int) int {
	for i < len(p) && IsSpace(p[i]) {
		i++
	}
	return i
}

// IsSpace reports whether c may stand between values. It begins with the question that settles most bytes.
func IsSpace(c byte) bool {
	return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t')
}

// IsDigit reports whether c is a decimal digit.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return IsDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// Every byte of a word set to 1, and every byte's highest bit.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special returns the index, from i on, of the first byte that does not stand
// for itself in a JSON string: a quote, a backslash or a control character. It
// is len(s) if there is none.
//
// It looks at eight bytes at a time. (x-n)&^x has a byte's highest bit set if
// that byte is below n; a borrow may set it wrongly in a byte above such a one,
// but never below, so the lowest set bit is right. XOR with c makes "equal to
// c" a "below 1".
func special[T string | []byte](s T, i int) int {
	for ; i <= len(s)-8; i += 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, backslash := x^(ones*'"'), x^(ones*'\\')
		found := ((x-ones*' ')&^x | (quote-ones)&^quote | (backslash-ones)&^backslash) & highs
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(s) && s[i] >= ' ' && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}
