package websocket

import (
	"net/http"
	"strconv"
	"strings"
)

const extensionsHeader = "Sec-Websocket-Extensions"

// The extension and its parameters (RFC 7692 section 7.1).
const (
	deflateName      = "permessage-deflate"
	serverNoTakeover = "server_no_context_takeover"
	clientNoTakeover = "client_no_context_takeover"
	serverWindowBits = "server_max_window_bits"
	clientWindowBits = "client_max_window_bits"
)

// Sizes of the LZ77 sliding window, as powers of two (RFC 7692 section 7.1.2).
const (
	minWindowBits = 8
	maxWindowBits = 15
)

// parameters are those of an offer of permessage-deflate, or of the answer to
// it.
type parameters struct {
	serverNoTakeover bool // the server begins every message anew
	clientNoTakeover bool
	serverBits       int  // the server's window; 0 for no limit
	clientBits       int  // the client's
	clientBitsKnown  bool // the client can be told a limit
}

// parseOffer reads the parameters of an offer. ok is false if one of them is
// unknown, repeated or has an invalid value: such an offer must be declined
// (RFC 7692 sections 5.1 and 7.1).
func parseOffer(s string) (p parameters, ok bool) {
	seen := make(map[string]bool)
	for s != "" {
		var param string
		param, s = cutUnquoted(s, ';')
		name, value, hasValue := strings.Cut(param, "=")
		name, value = strings.Trim(name, " \t"), unquote(strings.Trim(value, " \t"))
		if seen[name] || !p.set(name, value, hasValue) {
			return parameters{}, false
		}
		seen[name] = true
	}
	return p, true
}

func (p *parameters) set(name, value string, hasValue bool) (ok bool) {
	switch name {
	case serverNoTakeover:
		p.serverNoTakeover = true
		return !hasValue
	case clientNoTakeover:
		p.clientNoTakeover = true
		return !hasValue
	case serverWindowBits:
		p.serverBits = windowBits(value)
		return p.serverBits != 0
	case clientWindowBits:
		p.clientBitsKnown = true
		if hasValue {
			p.clientBits = windowBits(value)
		}
		return !hasValue || p.clientBits != 0
	default:
		return false
	}
}

// windowBits returns the number in s, 0 unless it is from 8 to 15 without
// leading zeros.
func windowBits(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < minWindowBits || n > maxWindowBits || strconv.Itoa(n) != s {
		return 0
	}
	return n
}

// String returns the parameters as the extension's element in the answer.
func (p *parameters) String() string {
	s := deflateName
	if p.serverNoTakeover {
		s += "; " + serverNoTakeover
	}
	if p.clientNoTakeover {
		s += "; " + clientNoTakeover
	}
	if p.serverBits != 0 {
		s += "; " + serverWindowBits + "=" + strconv.Itoa(p.serverBits)
	}
	if p.clientBits != 0 {
		s += "; " + clientWindowBits + "=" + strconv.Itoa(p.clientBits)
	}
	return s
}

// deflateOffers calls yield with the parameters of each offer of
// permessage-deflate, in the client's order of preference, until it returns
// false.
func deflateOffers(h http.Header, yield func(params string) bool) {
	rest := strings.Join(h[extensionsHeader], ",")
	for rest != "" {
		var element string
		element, rest = cutUnquoted(rest, ',')
		name, params := cutUnquoted(element, ';')
		if strings.Trim(name, " \t") == deflateName && !yield(params) {
			return
		}
	}
}

// cutUnquoted cuts s at the first sep outside of a quoted string (RFC 9110
// section 5.6.4).
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == sep:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// unquote returns the value of a quoted string, which stands for the same as
// its content does (RFC 6455 section 9.1). Escapes need no decoding: no value
// that is valid here has a character to escape.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
