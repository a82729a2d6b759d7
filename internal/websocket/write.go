package websocket

import (
	"net"

	"github.com/sioplug/sioplug/internal/frame"
)

// Prepend gives bytes that are to be written in front of the first frame, with
// the same system call if that is possible: the head of the 101 answer. It must
// be called before the first Write. The Conn keeps p, which must not change.
func (c *Conn) Prepend(p []byte) { c.out.head = p }

// Write sends frames in order without waiting. If the peer does not take all of them now,
// the rest is kept and blocked is true. Then the caller has to call [Conn.Drain], on a
// goroutine that may wait, before it writes again. Connections that cannot be written to
// without waiting, like TLS, keep everything.
//
// The slice may be reused when Write returns; the frames must never change.
// After an error nothing is kept and the connection is of no more use. It is
// [net.ErrClosed] after Close.
func (c *Conn) Write(frames []*frame.Frame) (blocked bool, err error) {
	if c.state.Load() == stateClosed {
		return false, net.ErrClosed
	}
	if c.compression != nil {
		frames = c.compression.compressAll(frames)
	}
	if c.client {
		return c.writeMasked(frames)
	}
	if c.raw == nil || len(c.out.frames) > 0 {
		c.out.frames = append(c.out.frames, frames...)
		return !c.out.empty(), nil
	}
	rest, err := c.writeRaw(pendingWrite{head: c.out.head, frames: frames}, false)
	if c.out.head != nil { // else it is empty, and better left alone: this is on the way of every delivery
		c.out = pendingWrite{}
	}
	if err != nil {
		return false, c.connError(err)
	}
	if rest.empty() {
		return false, nil
	}
	rest.frames = append([]*frame.Frame(nil), rest.frames...)
	c.out = rest
	return true, nil
}

// Drain waits until everything that Write kept is written. After an error
// nothing is kept and the connection is of no more use.
func (c *Conn) Drain() error {
	if c.out.empty() {
		return nil
	}
	if c.state.Load() == stateClosed {
		c.out = pendingWrite{}
		return net.ErrClosed
	}
	var err error
	if c.raw != nil {
		_, err = c.writeRaw(c.out, true)
	} else {
		err = c.drainBuffered()
	}
	c.out = pendingWrite{}
	if err != nil {
		return c.connError(err)
	}
	return nil
}

// drainBuffered is Drain by the connection's own Write.
func (c *Conn) drainBuffered() error {
	for !c.out.empty() {
		b := getBuffer()
		n, err := c.nc.Write(c.out.next(b))
		putBuffer(b)
		if err != nil {
			return err
		}
		c.out.skip(n)
	}
	return nil
}

// A pendingWrite has the bytes that remain to be written.
type pendingWrite struct {
	head   []byte         // in front of the frames
	frames []*frame.Frame // the first one may be partly written
	off    int            // bytes of the first frame that are
}

func (b *pendingWrite) empty() bool { return len(b.head) == 0 && len(b.frames) == 0 }

// multiple reports whether there is more than one piece.
func (b *pendingWrite) multiple() bool {
	return len(b.frames) > 1 || len(b.frames) == 1 && len(b.head) > 0
}

// next returns the bytes to write next; b must not be empty. Small pieces are gathered in
// buf, which may be nil for a single piece. A piece that fills buf, and the last one, are
// returned without a copy.
func (b *pendingWrite) next(buf *buffer) []byte {
	first, others := b.head, b.frames
	if len(first) == 0 {
		first, others = b.frames[0].Wire()[b.off:], b.frames[1:]
	}
	if len(others) == 0 || len(first) >= len(*buf) {
		return first
	}
	p := *buf
	n := copy(p, first)
	for _, f := range others {
		if n == len(p) {
			break
		}
		n += copy(p[n:], f.Wire())
	}
	return p[:n]
}

// skip removes n bytes that are written.
func (b *pendingWrite) skip(n int) {
	k := min(n, len(b.head))
	if b.head = b.head[k:]; len(b.head) == 0 {
		b.head = nil
	}
	b.off += n - k
	for len(b.frames) > 0 && b.off >= b.frames[0].Len() {
		b.off -= b.frames[0].Len()
		b.frames = b.frames[1:]
	}
}
