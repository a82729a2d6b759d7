package forward

import (
	"errors"
	"io"
	"net"
	"sync"

	"github.com/sioplug/sioplug/core/engine"
)

// A body is that of a client's request, on its way to another server. It is read on a goroutine
// of its own, because the answer may come first. Then the HTTP server must not be used any more.
type body struct {
	x engine.Exchange
	r io.Reader // at most one byte more than is allowed, so that the other server refuses it

	length int64 // negative if it is not known

	mu      sync.Mutex
	left    int64 // how many bytes have not been read; negative if that is not known
	reading bool
	stopped bool
	err     error         // of a read
	ended   chan struct{} // closed when a read has ended after stop; nil before
}

func newBody(x engine.Exchange, limit int) *body {
	req := x.Request()
	return &body{x: x, r: io.LimitReader(req.Body, int64(limit)+1), length: req.ContentLength, left: req.ContentLength}
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.stopped || b.err != nil {
		defer b.mu.Unlock()
		if b.err != nil {
			return 0, b.err
		}
		return 0, net.ErrClosed // nobody needs it any more
	}
	b.reading = true
	b.mu.Unlock()

	n, err := b.r.Read(p)

	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	b.left -= int64(n)
	if b.ended != nil {
		close(b.ended)
	}
	if b.stopped {
		return 0, net.ErrClosed // nobody needs it any more
	}
	b.err = err
	return n, err
}

// incomplete reports whether there is a body that was not read to its end.
func (b *body) incomplete() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.completeLocked()
}

func (b *body) completeLocked() bool { return b.left == 0 || errors.Is(b.err, io.EOF) }

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
	complete := b.completeLocked()
	b.mu.Unlock()
	if !complete { // or the server would wait for the rest before it answers
		if a, ok := b.x.(engine.Aborter); ok {
			a.CancelRead()
		}
	}
	if ended != nil {
		<-ended
	}
	if complete {
		return nil
	}
	return err
}
