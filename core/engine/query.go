package engine

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/text"
)

// ParseQuery parses the query of a request as the JavaScript server does: by the rules
// of URLSearchParams in browsers. There are no errors. Only "&" separates, so a
// semicolon is an ordinary character. A "%" that begins no escape stands for itself.
// Invalid UTF-8 becomes U+FFFD. Use it to implement [Exchange].
func ParseQuery(query string) url.Values {
	query, _, _ = strings.Cut(query, "#")
	return parseForm(query)
}

// maxParameters is the number of parameters that memory is allocated for at once. The
// client has 5 at most.
const maxParameters = 6

// parseForm is ParseQuery for the body of a form, where "#" ends nothing.
func parseForm(form string) url.Values {
	values := make(url.Values)
	var all []string // of all keys, in one piece
	for form != "" {
		var part string
		part, form, _ = strings.Cut(form, "&")
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		key, value = unescape(key), unescape(value)
		if vs := values[key]; vs != nil {
			values[key] = append(vs, value)
			continue
		}
		if all == nil {
			all = make([]string, 0, min(strings.Count(form, "&")+2, maxParameters))
		}
		all = append(all, value)
		values[key] = all[len(all)-1 : len(all) : len(all)]
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

// validUTF8 replaces invalid UTF-8 by U+FFFD, as browsers do.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string(text.Valid([]byte(s)))
}
