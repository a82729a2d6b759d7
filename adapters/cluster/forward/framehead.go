package forward

import (
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// This file has what the first parts of requests and answers begin with: numbers and texts, each
// text behind its length.

// errHeadSize is the error of a request whose headers do not fit into a part.
var errHeadSize = errors.New("forward: the headers are too large to be forwarded over the broker")

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendHeader(dst []byte, header http.Header) []byte {
	n := 0
	for _, values := range header {
		n += len(values)
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for name, values := range header {
		for _, v := range values {
			dst = appendText(appendText(dst, name), v)
		}
	}
	return dst
}

// A headReader reads what these functions have appended.
type headReader struct {
	b   []byte
	bad bool
}

func (r *headReader) number(limit uint64) uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > limit {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *headReader) text() string {
	n := r.number(uint64(len(r.b)))
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *headReader) header() http.Header {
	n := r.number(uint64(len(r.b)))
	header := make(http.Header)
	for range n {
		name, value := r.text(), r.text()
		if r.bad || !validName(name) || !validValue(value) {
			r.bad = true
			return nil
		}
		name = http.CanonicalHeaderKey(name)
		header[name] = append(header[name], value)
	}
	return header
}

// appendRequestHead appends the head of a request. length is that of its body, negative if it is
// not known.
func appendRequestHead(dst []byte, h *head, header http.Header, length int64) ([]byte, error) {
	before := len(dst)
	for _, s := range []string{h.method, h.uri, h.host, h.ip} {
		dst = appendText(dst, s)
	}
	secure := uint64(0)
	if h.tls {
		secure = 1
	}
	for _, n := range []uint64{secure, uint64(h.limit), uint64(h.within.Milliseconds()), uint64(max(length, -1) + 1)} { //nolint:gosec // not negative
		dst = binary.AppendUvarint(dst, n)
	}
	dst = appendHeader(dst, header)
	if len(dst)-before > partSize {
		return nil, errHeadSize
	}
	return dst, nil
}

// readRequestHead reads the head of a request, and returns the rest.
func readRequestHead(b []byte) (h head, header http.Header, length int64, rest []byte, err error) {
	r := headReader{b: b}
	h.method, h.uri, h.host, h.ip = r.text(), r.text(), r.text(), r.text()
	h.tls = r.number(1) == 1
	h.limit = int(r.number(math.MaxInt))                                                    //nolint:gosec // it is in this range
	h.within = time.Duration(r.number(uint64(maxWithin.Milliseconds()))) * time.Millisecond //nolint:gosec // likewise
	length = int64(r.number(math.MaxInt64)) - 1                                             //nolint:gosec // likewise
	if header = r.header(); r.bad || h.method != http.MethodGet && h.method != http.MethodPost {
		return head{}, nil, 0, nil, errFrame
	}
	return h, header, length, r.b, nil
}

// appendAnswerHead appends the head of an answer.
func appendAnswerHead(dst []byte, res *engine.Response) ([]byte, error) {
	before := len(dst)
	dst = binary.AppendUvarint(dst, uint64(res.Status)) //nolint:gosec // not negative
	dst = binary.AppendUvarint(dst, uint64(len(res.Body)))
	dst = appendHeader(dst, res.Header)
	if len(dst)-before > partSize {
		return nil, errHeadSize
	}
	return dst, nil
}

// readAnswerHead reads the head of an answer, and returns the length of the body, and the rest.
func readAnswerHead(b []byte) (res engine.Response, length int, rest []byte, err error) {
	const maxStatus = 999
	r := headReader{b: b}
	res.Status = int(r.number(maxStatus)) //nolint:gosec // it is in this range
	length = int(r.number(maxAnswer))     //nolint:gosec // likewise
	res.Header = r.header()
	if r.bad || res.Status < http.StatusOK {
		return engine.Response{}, 0, nil, errFrame
	}
	return res, length, r.b, nil
}
