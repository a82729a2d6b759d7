package connect

import (
	"bytes"
	"context"
	"net/http"

	sio "github.com/sioplug/sioplug/core"
)

// A Recorder is an [http.ResponseWriter] that keeps what middleware answers.
type Recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (r *Recorder) Header() http.Header {
	if r.header == nil {
		r.header = make(http.Header)
	}
	return r.header
}

// WriteHeader implements [http.ResponseWriter].
func (r *Recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write implements [http.ResponseWriter].
func (r *Recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// Refusal returns the error for what was answered, for a reason that may be nil.
func (r *Recorder) Refusal(reason error) error {
	return Refuse(r.status, r.Header().Get("Content-Type"), r.body.Bytes(), reason)
}

// Request returns a request like the one that opened a socket's connection, for
// middleware that may change it.
func Request(opened *http.Request, s *sio.Socket) *http.Request { return opened.Clone(s.Context()) }

// Kept returns a request for sockets to keep: it holds on to nothing that ends.
func Kept(r *http.Request) *http.Request {
	kept := r.WithContext(context.WithoutCancel(r.Context()))
	kept.Body = http.NoBody
	return kept
}
