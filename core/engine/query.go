package engine

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// ParseQuery parses the query of a request as the JavaScript server does, whose
// rules are those of browsers' URLSearchParams. Nothing of it is an error:
// only "&" separates, so a semicolon is a character like any other, and a "%"
// that begins no escape stands for itself. What is not UTF-8 becomes U+FFFD.
// It is for those who implement [Exchange].
func ParseQuery(query string) url.Values {
	query, _, _ = strings.Cut(query, "#")
	return parseForm(query)
}

// parseForm is ParseQuery for the body of a form, where "#" ends nothing.
func parseForm(form string) url.Values {
	values := make(url.Values)
	for part := range strings.SplitSeq(form, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		key = unescape(key)
		values[key] = append(values[key], unescape(value))
	}
	return values
}

// unescape decodes a key or a value of a query, or of a form.
func unescape(s string) string {
	if strings.ContainsAny(s, "%+") {
		b := make([]byte, 0, len(s))
		for i := 0; i < len(s); i++ {
			switch c := s[i]; {
			case c == '+':
				b = append(b, ' ')
			case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
				b = append(b, fromHex(s[i+1])<<4|fromHex(s[i+2]))
				i += 2
			default:
				b = append(b, c)
			}
		}
		s = string(b)
	}
	return validUTF8(s)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xF + 9 // of a letter in either case
}

// validUTF8 replaces what is not UTF-8 by U+FFFD: one for each beginning of a
// character that breaks off, as decoders of the web do.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			for n < len(s) && !utf8.FullRuneInString(s[:n+1]) {
				n++
			}
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}
