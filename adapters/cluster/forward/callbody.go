package forward

import (
	"errors"
	"io"
	"time"
)

// A chunk is the next bytes of a client's request.
type chunk struct {
	data []byte
	last bool
	err  error
}

// bodyWait is how long a request waits for the first bytes of its body. Later, it is sent without.
const bodyWait = 20 * time.Millisecond

// chunks reads a body on a goroutine of its own, which ends with the body: see [body.stop]. When
// nobody reads the channel any more, stop has to be closed.
func (b *body) chunks(first int, stop <-chan struct{}) <-chan chunk {
	out := make(chan chunk)
	go func() { // ends with the body
		for size := first; ; size = partSize {
			c := b.chunk(size)
			select {
			case out <- c:
			case <-stop:
				return
			}
			if c.last || c.err != nil {
				return
			}
		}
	}()
	return out
}

// chunk reads the next bytes, at most size.
func (b *body) chunk(size int) (c chunk) {
	b.mu.Lock()
	left := b.left
	b.mu.Unlock()
	if left >= 0 {
		size = int(min(int64(size), left))
	}
	c.data = make([]byte, size)
	n, err := io.ReadFull(b, c.data)
	c.data = c.data[:n]
	switch {
	case left < 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)), err == nil && left == int64(n):
		c.last = true
	default:
		c.err = err
	}
	return c
}
