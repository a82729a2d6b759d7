package engine

import (
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
	"weak"
)

// A handshakeRequest is what a session keeps of the request that opened it: one
// string, for as long as the session lives. A browser's parsed headers and query take
// several times that memory. The string is parsed again on demand. Callers share the
// result while one of them uses it.
type handshakeRequest struct {
	packed string

	mu     sync.Mutex
	parsed weak.Pointer[Request]
}

// newHandshakeRequest keeps a request. Its Query has to be that of its URI.
func newHandshakeRequest(r *Request) handshakeRequest {
	var packed strings.Builder
	packed.Grow(handshakeSize(r))
	for _, s := range []string{r.Method, r.Path, r.URI, r.Host, r.ClientIP} {
		appendString(&packed, s)
	}
	appendString(&packed, scheme(r.TLS))
	for k, vs := range r.Header {
		for _, v := range vs {
			appendString(&packed, k)
			appendString(&packed, v)
		}
	}
	return handshakeRequest{packed: packed.String()}
}

// handshakeSize is about how many bytes of a request are kept.
// [Options].MaxHandshakeBytes is the limit.
func handshakeSize(r *Request) int {
	size := 16 + len(r.Method) + len(r.Path) + len(r.URI) + len(r.Host) + len(r.ClientIP)
	for k, vs := range r.Header {
		for _, v := range vs {
			size += 2 + len(k) + len(v)
		}
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
func (h *handshakeRequest) clientIP() (ip string) {
	rest := h.packed
	for range 5 { // see newHandshakeRequest for the order
		ip, rest = cutString(rest)
	}
	return ip
}

func (h *handshakeRequest) parse() *Request {
	r, rest, kind := &Request{Header: make(http.Header)}, h.packed, ""
	for _, s := range []*string{&r.Method, &r.Path, &r.URI, &r.Host, &r.ClientIP, &kind} {
		*s, rest = cutString(rest)
	}
	r.TLS = kind == scheme(true)
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
