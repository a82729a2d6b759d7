package sio

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/accept"
	"github.com/sioplug/sioplug/internal/rescue"
)

// clientFiles are the files of the JavaScript client that there may be, by name
// (SIO-FS-1). Each is read when the first client asks for it, once.
type clientFiles map[string]*clientFile

// newClientFiles returns the files in fsys, none if that is nil.
func newClientFiles(fsys fs.FS) clientFiles {
	if fsys == nil {
		return nil
	}
	files := make(clientFiles)
	for _, name := range []string{
		"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js",
	} {
		files[name] = &clientFile{fsys: fsys, name: name, mediaType: "application/javascript; charset=utf-8"}
		name += ".map"
		files[name] = &clientFile{fsys: fsys, name: name, mediaType: "application/json; charset=utf-8"}
	}
	return files
}

// serveClient answers a request for a file of the JavaScript client, if
// clients get them here. Anything else goes to the engine (SIO-FS-7, SIO-FS-8).
func (s *Server) serveClient(x engine.Exchange) bool {
	req := x.Request()
	f := s.clientFiles[path.Base(req.Path)]
	if f == nil {
		return false
	}
	variants, err := f.load(s.log())
	if err == errNoFile { //nolint:errorlint // others may have methods of the application's
		return false
	}
	res := engine.Response{Status: http.StatusInternalServerError}
	switch {
	case err != nil: // it was logged
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		// SIO-FS-6: the reference gives the file, whatever it is asked to do.
		res = engine.Response{Status: http.StatusMethodNotAllowed, Header: http.Header{"Allow": {"GET, HEAD"}}}
	default:
		res = f.respond(variants, req.Header)
	}
	_ = s.engine.Respond(x, res) // a client that has gone needs no file
	return true
}

// A clientFile is one of the files.
type clientFile struct {
	fsys      fs.FS
	name      string
	mediaType string

	mu       sync.Mutex
	variants *variants // nil until the file has been read
	reading  *reading  // nil unless it is being read
	failed   bool
}

var errNoFile = errors.New("there is no such file")

// A reading is an attempt to read a file, for all requests that come meanwhile.
type reading struct {
	done     chan struct{}
	variants *variants
	err      error
}

// load returns the file's contents. If a file is missing or cannot be read, the next
// request tries again. Only the first failure is logged, because any client can cause
// the next one.
func (f *clientFile) load(log *slog.Logger) (*variants, error) {
	f.mu.Lock()
	if f.variants != nil {
		defer f.mu.Unlock()
		return f.variants, nil
	}
	r, first := f.reading, f.reading == nil
	if first {
		r = &reading{done: make(chan struct{})}
		f.reading = r
	}
	f.mu.Unlock()
	if !first {
		<-r.done
		return r.variants, r.err
	}
	r.err = rescue.Apart(func() (err error) {
		r.variants, err = readVariants(f.fsys, f.name)
		if errors.Is(err, fs.ErrNotExist) {
			return errNoFile
		}
		return err
	})
	f.finish(r, log)
	return r.variants, r.err
}

// finish ends a reading, and wakes the requests that wait for it.
func (f *clientFile) finish(r *reading, log *slog.Logger) {
	f.mu.Lock()
	f.variants, f.reading = r.variants, nil
	tell := r.err != nil && r.err != errNoFile && !f.failed //nolint:errorlint // see serveClient
	f.failed = f.failed || tell
	f.mu.Unlock()
	close(r.done)
	if tell {
		log.Error("reading a file of the JavaScript client failed: check Options.ClientFS",
			slog.String("file", f.name), errAttr(r.err))
	}
}

// respond is the answer to a GET or a HEAD.
func (f *clientFile) respond(v *variants, asked http.Header) engine.Response {
	encoding := accept.Encoding(asked, v.encodings...) // SIO-FS-4
	body := v.bodies[encoding]()
	h := http.Header{
		"Cache-Control": {"public, max-age=0"}, // SIO-FS-2
		"Etag":          {body.etag},
		"Vary":          {"Accept-Encoding"},
	}
	if matches(asked["If-None-Match"], body.etag) {
		return engine.Response{Status: http.StatusNotModified, Header: h}
	}
	h.Set("Content-Type", f.mediaType)
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	return engine.Response{Status: http.StatusOK, Header: h, Body: body.data}
}

// matches reports whether the list of tags in If-None-Match has our tag (SIO-FS-3; the
// reference knows no lists). Other tags may have commas in them, but no quotes, so no
// part of one is our tag.
func matches(lines []string, etag string) bool {
	for tag := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// Variants are the encodings of one file.
type variants struct {
	encodings []string               // in the order in which we like them
	bodies    map[string]func() body // by encoding, "" for the file as it is
}

// A body has a tag of its own in each encoding, since they are different bytes
// that proxies keep side by side.
type body struct {
	data []byte
	etag string
}

// newBody tags data by its content, so that a new version of the client has a
// new tag, under whatever version number.
func newBody(data []byte) body {
	sum := sha256.Sum256(data)
	return body{data, `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// readVariants reads a file and its compressed variants. A missing variant is compressed
// here, once, for the first client that accepts it. Brotli is an exception: Go has no
// encoder for it.
func readVariants(fsys fs.FS, name string) (*variants, error) {
	plain, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	v := &variants{bodies: make(map[string]func() body)}
	v.add("", func() []byte { return plain })
	for _, e := range []struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		switch packed, err := fs.ReadFile(fsys, name+e.suffix); {
		case err == nil:
			v.add(e.encoding, func() []byte { return packed })
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if v.bodies["gzip"] == nil {
		v.add("gzip", func() []byte { return compressed(plain, gzip.NewWriterLevel) })
	}
	v.add("deflate", func() []byte { return compressed(plain, zlib.NewWriterLevel) }) // which is what it means
	return v, nil
}

func (v *variants) add(encoding string, data func() []byte) {
	if encoding != "" {
		v.encodings = append(v.encodings, encoding)
	}
	v.bodies[encoding] = sync.OnceValue(func() body { return newBody(data()) })
}

// compressed returns data as the writers of package gzip or zlib write it.
func compressed[W io.WriteCloser](data []byte, newWriter func(io.Writer, int) (W, error)) []byte {
	var buf bytes.Buffer
	w, _ := newWriter(&buf, gzip.BestCompression) // the level is one
	_, _ = w.Write(data)                          // memory takes everything
	_ = w.Close()
	return buf.Bytes()
}
