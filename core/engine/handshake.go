package engine

import (
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
	"weak"
)

// A handshakeRequest is what a session keeps of the request that opened it, for as long as
// the session lives. A browser's parsed headers and query take several times that memory.
// So it is packed, and parsed again on demand. Callers share the result while one of them
// uses it. What requests of the same kind of browser have in common is kept once for all
// of them: see [commonParts].
type handshakeRequest struct {
	common string // method, path, host, scheme, and headers by their number in commonHeaders
	own    string // address, URI, and all other headers

	mu     sync.Mutex
	parsed weak.Pointer[Request]
}

// newHandshakeRequest keeps a request. Its Query has to be that of its URI.
func newHandshakeRequest(r *Request, parts *commonParts) handshakeRequest {
	var own strings.Builder
	own.Grow(ownSize(r))
	appendString(&own, r.ClientIP)
	appendString(&own, r.URI)
	for k, vs := range r.Header {
		if isCommon[k] {
			continue
		}
		for _, v := range vs {
			appendString(&own, k)
			appendString(&own, v)
		}
	}
	return handshakeRequest{common: parts.of(r), own: own.String()}
}

// ownSize is about how many bytes of a request are kept that it does not share.
func ownSize(r *Request) int {
	size := 4 + len(r.URI) + len(r.ClientIP)
	for k, vs := range r.Header {
		if !isCommon[k] {
			size += valuesSize(k, vs)
		}
	}
	return size
}

// handshakeSize is about how many bytes of a request are kept.
// [Options].MaxHandshakeBytes is the limit.
func handshakeSize(r *Request) int {
	size := 16 + len(r.Method) + len(r.Path) + len(r.URI) + len(r.Host) + len(r.ClientIP)
	for k, vs := range r.Header {
		size += valuesSize(k, vs)
	}
	return size
}

func valuesSize(k string, vs []string) (size int) {
	for _, v := range vs {
		size += 2 + len(k) + len(v)
	}
	return size
}

func scheme(secure bool) string {
	if secure {
		return "https"
	}
	return "http"
}

// appendString writes a string with its length in front.
func appendString(b *strings.Builder, s string) {
	var length [binary.MaxVarintLen64]byte
	b.Write(binary.AppendUvarint(length[:0], uint64(len(s))))
	b.WriteString(s)
}

// cutString reads a string that appendString has written.
func cutString(packed string) (s, rest string) {
	length, n := binary.Uvarint([]byte(packed[:min(len(packed), binary.MaxVarintLen64)]))
	end := n + int(length) //nolint:gosec // as long as it was
	return packed[n:end], packed[end:]
}

// request returns the request, without a body.
func (h *handshakeRequest) request() *Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.parsed.Value()
	if r == nil {
		r = h.parse()
		h.parsed = weak.Make(r)
	}
	return r
}

// clientIP returns the request's, without parsing the rest.
func (h *handshakeRequest) clientIP() string {
	ip, _ := cutString(h.own)
	return ip
}

func (h *handshakeRequest) parse() *Request {
	r := &Request{Header: make(http.Header)}
	rest := unpackCommon(r, h.common)
	for rest != "" {
		k := commonHeaders[rest[0]]
		var v string
		v, rest = cutString(rest[1:])
		r.Header[k] = append(r.Header[k], v)
	}
	r.ClientIP, rest = cutString(h.own)
	r.URI, rest = cutString(rest)
	for rest != "" {
		var k, v string
		k, rest = cutString(rest)
		v, rest = cutString(rest)
		r.Header[k] = append(r.Header[k], v)
	}
	_, query, _ := strings.Cut(r.URI, "?")
	r.Query = ParseQuery(query)
	return r
}
