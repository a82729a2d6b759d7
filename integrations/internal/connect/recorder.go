package connect

import (
	"bytes"
	"net/http"
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
