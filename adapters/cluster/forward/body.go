package forward

import (
	"errors"
	"io"
	"sync"

	"github.com/sioplug/sioplug/core/engine"
)

// errStopped is the error of a body that nobody needs any more.
var errStopped = errors.New("forward: the request was answered")

// A body is that of a client's request, on its way to another server. The HTTP client may read
// it after the answer has come, but the server that it comes from must not be used then.
type body struct {
	x engine.Exchange
	r io.Reader // at most one byte more than is allowed, so that the other server refuses it

	mu      sync.Mutex
	reading bool
	stopped bool
	err     error         // of a read
	ended   chan struct{} // closed when a read has ended after stop; nil before
}

func newBody(x engine.Exchange, limit int) *body {
	return &body{x: x, r: io.LimitReader(x.Request().Body, int64(limit)+1)}
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.stopped || b.err != nil {
		defer b.mu.Unlock()
		if b.err != nil {
			return 0, b.err
		}
		return 0, errStopped
	}
	b.reading = true
	b.mu.Unlock()

	n, err := b.r.Read(p)

	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if b.ended != nil {
		close(b.ended)
	}
	if b.stopped {
		return 0, errStopped
	}
	b.err = err
	return n, err
}

// Close implements [io.Closer].
func (b *body) Close() error { return nil }

// stop makes sure that the client's request is not read any more. It returns why it could not
// be read to its end; nil if it was, or if that was not tried.
func (b *body) stop() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	b.stopped = true
	err := b.err
	var ended chan struct{}
	if b.reading {
		ended = make(chan struct{})
		b.ended = ended
	}
	b.mu.Unlock()
	if ended != nil {
		if a, ok := b.x.(engine.Aborter); ok {
			a.CancelRead()
		}
		<-ended
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
