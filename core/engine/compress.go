package engine

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"sync"

	"github.com/sioplug/sioplug/internal/accept"
)

// defaultHTTPThreshold is the size from which on the answers to polls are
// compressed: the reference's (EIO section 8.4).
const defaultHTTPThreshold = 1024

// A compressor is a writer of package gzip or zlib.
type compressor interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// compressors compress the answers to polls. A writer has more than half a megabyte of
// tables, so writers are pooled.
type compressors struct {
	threshold int // 0: never compress
	gzip      sync.Pool
	deflate   sync.Pool
}

func newCompressors(opts *Options) *compressors {
	if opts.DisableHTTPCompression {
		return &compressors{}
	}
	level := cmp.Or(opts.HTTPCompressionLevel, gzip.DefaultCompression)
	return &compressors{
		threshold: opts.HTTPCompressionThreshold,
		gzip: sync.Pool{New: func() any {
			w, _ := gzip.NewWriterLevel(nil, level) // Options.Validate knows the levels
			return w
		}},
		deflate: sync.Pool{New: func() any { // EIO-HC-2: deflate has always meant the zlib format
			w, _ := zlib.NewWriterLevel(nil, level) // Options.Validate knows the levels
			return w
		}},
	}
}

// compress compresses the answer to a poll if it is worth it and the client
// takes it.
func (c *compressors) compress(req *Request, res *Response) {
	if c.threshold == 0 || req.Method != http.MethodGet || len(res.Body) < c.threshold {
		return
	}
	encoding := accept.Encoding(req.Header, "gzip", "deflate") // EIO-HC-2
	var body []byte
	switch encoding {
	case "gzip":
		body = compressBody(&c.gzip, res.Body)
	case "deflate":
		body = compressBody(&c.deflate, res.Body)
	}
	if body != nil {
		res.Body = body
		res.Header = cloneHeader(res.Header)
		res.Header.Set("Content-Encoding", encoding)
	}
}

// compressBody returns body as a compressor of the pool writes it, or nil if it fails.
func compressBody(pool *sync.Pool, body []byte) []byte {
	w, ok := pool.Get().(compressor)
	if !ok {
		return nil
	}
	defer pool.Put(w)
	buf := bytes.NewBuffer(make([]byte, 0, len(body)/2))
	w.Reset(buf)
	if _, err := w.Write(body); err != nil {
		return nil // cannot happen: it writes to memory
	}
	if err := w.Close(); err != nil {
		return nil
	}
	return buf.Bytes()
}
