package engine

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// defaultHTTPThreshold is the size from which on the answers to polls are
// compressed: the reference's (EIO section 8.4).
const defaultHTTPThreshold = 1024

// A compressor is a writer of package gzip or zlib.
type compressor interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// compressors compress the answers to polls. A writer has more than half a
// megabyte of tables, so they are used again.
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
	encoding := negotiate(strings.Join(req.Header["Accept-Encoding"], ","))
	var body []byte
	switch encoding {
	case "gzip":
		body = pack(&c.gzip, res.Body)
	case "deflate":
		body = pack(&c.deflate, res.Body)
	}
	if body != nil {
		res.Body = body
		res.Header.Set("Content-Encoding", encoding)
	}
}

// pack returns body as a compressor of the pool writes it, or nil if it fails.
func pack(pool *sync.Pool, body []byte) []byte {
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

// A preference is what a client says about one encoding.
type preference struct {
	quality float64
	exact   bool // not by "*"
	place   int  // in the client's list
}

// better reports whether p is to be taken rather than q (EIO-HC-2).
func (p preference) better(q preference) bool {
	switch {
	case p.quality != q.quality:
		return p.quality > q.quality
	case p.exact != q.exact:
		return p.exact
	default:
		return p.place < q.place
	}
}

// negotiate returns the encoding to use, "gzip" or "deflate", or "" for none,
// for the value of an Accept-Encoding header.
func negotiate(accept string) string {
	if accept == "" {
		return ""
	}
	gz, zl := prefer(accept, "gzip"), prefer(accept, "deflate")
	switch {
	case gz.quality <= 0 && zl.quality <= 0:
		return ""
	case zl.better(gz):
		return "deflate"
	default:
		return "gzip"
	}
}

// prefer returns what the header says about an encoding. Naming it counts more
// than "*", and a higher quality more than a lower one of the same name.
func prefer(accept, encoding string) preference {
	var best preference
	found, place := false, 0
	for item := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(item, ";")
		name = strings.TrimSpace(name)
		exact := strings.EqualFold(name, encoding)
		if exact || name == "*" {
			p := preference{quality(params), exact, place}
			if !found || (exact && !best.exact) || (exact == best.exact && p.better(best)) {
				best, found = p, true
			}
		}
		place++
	}
	return best
}

// quality returns the q parameter, 1 if there is none.
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}
