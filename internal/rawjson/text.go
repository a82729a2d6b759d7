package rawjson

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string, written as JSON.stringify does: only
// quotes, backslashes and control characters are escaped, not the characters
// special to HTML and not U+2028. Every byte that is not part of valid UTF-8
// becomes U+FFFD, because a WebSocket text message must be valid.
func AppendString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		// A range over s replaces bytes as required, and has to copy anyway.
		s = string([]rune(s))
	}
	return append(AppendText(append(dst, '"'), s), '"')
}

// AppendText appends what stands between the quotes of a JSON string for s, which
// must be valid UTF-8.
func AppendText[T string | []byte](dst []byte, s T) []byte {
	for {
		i := special(s, 0)
		dst = append(dst, s[:i]...)
		if i == len(s) {
			return dst
		}
		dst = appendEscape(dst, s[i])
		s = s[i+1:]
	}
}

// appendEscape appends the escape sequence of a quote, a backslash or a control
// character, the short one if there is one.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\t':
		return append(dst, `\t`...)
	case '\n':
		return append(dst, `\n`...)
	case '\f':
		return append(dst, `\f`...)
	case '\r':
		return append(dst, `\r`...)
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
	}
}

// DecodeString returns the text of a valid JSON string, given without its
// quotes.
func DecodeString(p []byte) string {
	if bytes.IndexByte(p, '\\') < 0 {
		return string(p)
	}
	var b strings.Builder
	b.Grow(len(p)) // a sequence is never shorter than what it stands for
	for len(p) > 0 {
		plain, r, n := nextEscape(p)
		b.Write(plain)
		if n > 0 {
			b.WriteRune(r)
		}
		p = p[len(plain)+n:]
	}
	return b.String()
}

// AppendUnescaped is like DecodeString for a caller that has the memory.
func AppendUnescaped(dst, p []byte) []byte {
	for len(p) > 0 {
		plain, r, n := nextEscape(p)
		dst = append(dst, plain...)
		if n > 0 {
			dst = utf8.AppendRune(dst, r)
		}
		p = p[len(plain)+n:]
	}
	return dst
}

// nextEscape returns what stands before the first escape sequence of p, which
// is the inside of a valid JSON string, then the character that the sequence
// stands for, and the sequence's length: 0 if there is none.
func nextEscape(p []byte) (plain []byte, r rune, n int) {
	i := bytes.IndexByte(p, '\\')
	if i < 0 {
		return p, 0, 0
	}
	plain, p = p[:i], p[i:]
	switch p[1] {
	case 'b':
		return plain, '\b', 2
	case 't':
		return plain, '\t', 2
	case 'n':
		return plain, '\n', 2
	case 'f':
		return plain, '\f', 2
	case 'r':
		return plain, '\r', 2
	case 'u':
		r, n = unicodeEscape(p)
		return plain, r, n
	default: // quote, backslash, slash
		return plain, rune(p[1]), 2
	}
}

// unicodeEscape decodes the \uXXXX at the start of p, or a surrogate pair of
// them. Half a pair is U+FFFD, as in encoding/json.
func unicodeEscape(p []byte) (r rune, n int) {
	r = hex4(p[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(p) >= 12 && p[6] == '\\' && p[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(p[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex4 returns the number that four hexadecimal digits mean.
func hex4(p []byte) (r rune) {
	for _, c := range p[:4] {
		if IsDigit(c) {
			c -= '0'
		} else {
			c = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}
