package engine

import (
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
	"weak"
)

// An opening is what a session keeps of the request that opened it: one string,
// where a browser's parsed headers and query take several times its size, for as
// long as the session lives. It is parsed again when somebody asks, and what was
// parsed is shared by whoever asks while it is in use.
type opening struct {
	text string

	mu     sync.Mutex
	parsed weak.Pointer[Request]
}

// newOpening keeps a request. Its Query has to be that of its URI.
func newOpening(r *Request) opening {
	var text strings.Builder
	text.Grow(openingSize(r))
	for _, s := range []string{r.Method, r.Path, r.URI, r.Host, r.ClientIP} {
		putText(&text, s)
	}
	putText(&text, scheme(r.TLS))
	for k, vs := range r.Header {
		for _, v := range vs {
			putText(&text, k)
			putText(&text, v)
		}
	}
	return opening{text: text.String()}
}

// openingSize is about how many bytes of a request are kept. That is what
// [Options].MaxHandshakeBytes bounds.
func openingSize(r *Request) int {
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

func putText(b *strings.Builder, s string) {
	var length [binary.MaxVarintLen64]byte
	b.Write(binary.AppendUvarint(length[:0], uint64(len(s))))
	b.WriteString(s)
}

// cutText takes off what putText has put there.
func cutText(text string) (s, rest string) {
	length, n := binary.Uvarint([]byte(text[:min(len(text), binary.MaxVarintLen64)]))
	end := n + int(length) //nolint:gosec // as long as it was
	return text[n:end], text[end:]
}

// request returns the request, without a body.
func (o *opening) request() *Request {
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
func (o *opening) clientIP() (ip string) {
	rest := o.text
	for range 5 { // see newOpening for the order
		ip, rest = cutText(rest)
	}
	return ip
}

func (o *opening) parse() *Request {
	r, rest, kind := &Request{Header: make(http.Header)}, o.text, ""
	for _, s := range []*string{&r.Method, &r.Path, &r.URI, &r.Host, &r.ClientIP, &kind} {
		*s, rest = cutText(rest)
	}
	r.TLS = kind == scheme(true)
	for rest != "" {
		var k, v string
		k, rest = cutText(rest)
		v, rest = cutText(rest)
		r.Header[k] = append(r.Header[k], v)
	}
	_, query, _ := strings.Cut(r.URI, "?")
	r.Query = ParseQuery(query)
	return r
}
