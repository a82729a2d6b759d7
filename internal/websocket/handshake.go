package websocket

import (
	"crypto/sha1" //nolint:gosec // the algorithm of RFC 6455 section 4.2.2, not a protection
	"encoding/base64"
	"net/http"
	"strings"
)

// keySize is the number of bytes in a decoded Sec-WebSocket-Key (RFC 6455
// section 4.2.1).
const keySize = 16

// keyGUID is appended to the client's key before hashing (RFC 6455 section 1.3).
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// The headers of the handshake, in the form that [http.Header] has them. Any other form
// would be brought into this one each time.
const (
	keyHeader      = "Sec-Websocket-Key"
	versionHeader  = "Sec-Websocket-Version"
	protocolHeader = "Sec-Websocket-Protocol"
	acceptHeader   = "Sec-Websocket-Accept"
)

// A HandshakeError is the answer to an opening handshake that is refused.
type HandshakeError struct {
	Status  int         // the HTTP status to answer with
	Header  http.Header // headers to add to the answer; may be nil
	Message string      // the body to answer with
}

// Error implements error.
func (e *HandshakeError) Error() string { return "websocket: " + e.Message }

// A Handshake is an opening handshake that may be accepted.
type Handshake struct {
	Key      string // the client's Sec-WebSocket-Key
	Protocol string // the first subprotocol that the client offered, if any

	// Deflate is not set by Check. Set it to the result of [Deflate.Accept], and
	// pass the same to [Conn.Compress].
	Deflate *Agreement
}

// IsUpgrade reports whether a request asks to become another protocol: it has
// an Upgrade header, and its Connection header lists "upgrade" (RFC 9110
// section 7.8). Give such a request to [Check], which also says which protocol
// is wanted.
func IsUpgrade(h http.Header) bool {
	if h.Get("Upgrade") == "" {
		return false
	}
	for _, line := range h.Values("Connection") {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}

// Check validates an opening handshake (RFC 6455 section 4.2.1). It returns
// either the handshake to accept or, not nil, the answer that refuses it.
// Statuses and messages are those of the JavaScript server.
//
// Check does not look at Host, Origin or Sec-WebSocket-Extensions: they are for the
// caller to check.
func Check(method string, h http.Header) (Handshake, *HandshakeError) {
	if method != http.MethodGet {
		return Handshake{}, &HandshakeError{
			Status:  http.StatusMethodNotAllowed,
			Header:  http.Header{"Allow": {http.MethodGet}},
			Message: "Invalid HTTP method",
		}
	}
	if !strings.EqualFold(value(h, "Upgrade"), "websocket") {
		return Handshake{}, badRequest("Invalid Upgrade header")
	}
	if !IsUpgrade(h) {
		return Handshake{}, badRequest("Invalid Connection header")
	}
	key := value(h, keyHeader)
	if !isKey(key) {
		return Handshake{}, badRequest("Missing or invalid Sec-WebSocket-Key header")
	}
	// Version 8 is the last draft before the RFC and the same on the wire.
	if v := value(h, versionHeader); v != "13" && v != "8" {
		e := badRequest("Missing or invalid Sec-WebSocket-Version header")
		e.Header = make(http.Header)
		e.Header.Set(versionHeader, "13, 8")
		return Handshake{}, e
	}
	protocol, ok := firstProtocol(h[protocolHeader])
	if !ok {
		return Handshake{}, badRequest("Invalid Sec-WebSocket-Protocol header")
	}
	return Handshake{Key: key, Protocol: protocol}, nil
}

// SetHeader puts the headers of the 101 answer into dst (RFC 6455 section
// 4.2.2).
func (h Handshake) SetHeader(dst http.Header) {
	v := []string{"websocket", "Upgrade", accept(h.Key)} // in one piece: every connection needs them
	dst["Upgrade"], dst["Connection"], dst[acceptHeader] = v[0:1:1], v[1:2:2], v[2:3:3]
	if h.Protocol != "" {
		dst.Set(protocolHeader, h.Protocol)
	}
	if h.Deflate != nil {
		dst.Set(extensionsHeader, h.Deflate.params.String())
	}
}

// isKey reports whether a key has the right length when it is decoded.
func isKey(key string) bool {
	var raw [keySize + 2]byte // what its encoded length may decode to
	if len(key) != base64.StdEncoding.EncodedLen(keySize) {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == keySize
}

// accept proves to the client that its key was understood (RFC 6455 section
// 4.2.2, step 5.4).
func accept(key string) string {
	var buf [64]byte                                             // a key and keyGUID have 60 bytes
	sum := sha1.Sum(append(append(buf[:0], key...), keyGUID...)) //nolint:gosec // prescribed, not a protection
	return string(base64.StdEncoding.AppendEncode(buf[:0], sum[:]))
}

func badRequest(message string) *HandshakeError {
	return &HandshakeError{Status: http.StatusBadRequest, Message: message}
}

// value returns the one value of a header that must not be repeated. A
// repeated one comes out joined, so that no comparison accepts it.
func value(h http.Header, name string) string {
	return strings.TrimSpace(strings.Join(h.Values(name), ", "))
}

// firstProtocol returns the first of the offered subprotocols, "" if there is
// no such header. ok is false unless all are tokens and no two the same (RFC
// 6455 section 4.1, item 10).
func firstProtocol(lines []string) (first string, ok bool) {
	if len(lines) == 0 {
		return "", true
	}
	seen := make(map[string]bool)
	for token := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		token = strings.Trim(token, " \t")
		if !isToken(token) || seen[token] {
			return "", false
		}
		if len(seen) == 0 {
			first = token
		}
		seen[token] = true
	}
	return first, true
}

// isToken reports whether s is a token as in RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		case strings.ContainsRune("!#$%&'*+-.^_`|~", r):
		default:
			return false
		}
	}
	return s != ""
}
