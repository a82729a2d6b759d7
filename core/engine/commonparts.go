package engine

import (
	"encoding/binary"
	"sync"
)

// commonHeaders are headers whose values depend on the browser and on the page, and not on
// the user or the connection.
//
//nolint:gochecknoglobals // immutable
var commonHeaders = [...]string{
	"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Connection", "Origin", "Pragma",
	"Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site",
	"Sec-Websocket-Extensions", "Sec-Websocket-Version", "Upgrade", "User-Agent",
}

// isCommon has the names in commonHeaders.
//
//nolint:gochecknoglobals // immutable
var isCommon = func() map[string]bool {
	m := make(map[string]bool, len(commonHeaders))
	for _, name := range commonHeaders {
		m[name] = true
	}
	return m
}()

// commonParts are what requests have in common that open sessions. Ten thousand browsers send
// a few hundred different ones, of some 400 bytes each.
//
// It forgets all of them when it has too many, because clients choose what they send. The
// sessions go on using what they share, and new ones begin to share again.
type commonParts struct {
	mu     sync.Mutex
	known  map[string]string
	packed []byte // memory for the next one
}

// The limits of commonParts: a megabyte at most.
const (
	maxCommonParts    = 1024
	maxCommonPartSize = 1024
)

// of returns the packed common part of a request.
func (c *commonParts) of(r *Request) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := packCommon(c.packed[:0], r)
	if len(p) > maxCommonPartSize {
		return string(p)
	}
	c.packed = p
	if s, ok := c.known[string(p)]; ok {
		return s
	}
	if c.known == nil || len(c.known) >= maxCommonParts {
		c.known = make(map[string]string)
	}
	s := string(p)
	c.known[s] = s
	return s
}

// packCommon appends the common part of a request to p.
func packCommon(p []byte, r *Request) []byte {
	for _, s := range []string{r.Method, r.Path, r.Host, scheme(r.TLS)} {
		p = append(binary.AppendUvarint(p, uint64(len(s))), s...)
	}
	for n, name := range commonHeaders {
		for _, v := range r.Header[name] {
			p = append(p, byte(n))
			p = append(binary.AppendUvarint(p, uint64(len(v))), v...)
		}
	}
	return p
}

// unpackCommon reads what packCommon has written, up to the headers.
func unpackCommon(r *Request, packed string) (headers string) {
	var kind string
	for _, s := range []*string{&r.Method, &r.Path, &r.Host, &kind} {
		*s, packed = cutString(packed)
	}
	r.TLS = kind == scheme(true)
	return packed
}
