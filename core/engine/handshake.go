package engine

import (
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
	"weak"
)

// An handshakeRequest is what a session keeps of the request that opened it: one string,
// where a browser's parsed headers and query take several times its size, for as
// long as the session lives. It is parsed again when somebody asks, and what was
// parsed is shared by whoever asks while it is in use.
type handshakeRequest struct {
	packed string

	mu     sync.Mutex
	parsed weak.Pointer[Request]
}

// newHandshakeRequest keeps a request. Its Query has to be that of its URI.
func newHandshakeRequest(r *Request) handshakeRequest {
	var text strings.Builder
	text.Grow(handshakeSize(r))
	for _, s := range []string{r.Method, r.Path, r.URI, r.Host, r.ClientIP} {
		appendString(&text, s)
	}
	appendString(&text, scheme(r.TLS))
	for k, vs := range r.Header {
		for _, v := range vs {
			appendString(&text, k)
			appendString(&text, v)
		}
	}
	return handshakeRequest{packed: text.String()}
}

// handshakeSize is about how many bytes of a request are kept. That is what
// [Options].MaxHandshakeBytes bounds.
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

func appendString(b *strings.Builder, s string) {
	var length [binary.MaxVarintLen64]byte
	b.Write(binary.AppendUvarint(length[:0], uint64(len(s))))
	b.WriteString(s)
}

// cutString takes off what putText has put there.
func cutString(text string) (s, rest string) {
	length, n := binary.Uvarint([]byte(text[:min(len(text), binary.MaxVarintLen64)]))
	end := n + int(length) //nolint:gosec // as long as it was
	return text[n:end], text[end:]
}

// request returns the request, without a body.
func (o *handshakeRequest) request() *Request {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.parsed.Value()
	if r == nil {
		r = o.parse()
		o.parsed = weak.Make(r)
	}
	return r
}

// clientIP returns the request's, without parsing the rest.
func (o *handshakeRequest) clientIP() (ip string) {
	rest := o.packed
	for range 5 { // see newHandshakeRequest for the order
		ip, rest = cutString(rest)
	}
	return ip
}

func (o *handshakeRequest) parse() *Request {
	r, rest, kind := &Request{Header: make(http.Header)}, o.packed, ""
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
