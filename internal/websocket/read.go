package websocket

import (
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/internal/frame"
)

// minGrow is the smallest buffer that an incomplete message gets, unless it is
// known to stay smaller.
const minGrow = 512

// parse hands over all messages and frames that are complete with p, and keeps the rest.
// p is unmasked in place. It stops early when the connection is closed meanwhile, for
// example by the handler.
func (c *Conn) parse(h Handler, p []byte) error {
	for len(p) > 0 && c.state.Load() == stateOpen {
		var n int
		var err error
		if c.remaining > 0 {
			n, err = c.addPayload(h, p)
		} else {
			n, err = c.splitFrame(h, p)
		}
		if err != nil {
			c.state.CompareAndSwap(stateOpen, stateDiscarding)
			return err
		}
		p = p[n:]
	}
	return nil
}

// splitFrame parses the frame that begins with c.unparsed and goes on with p. It returns
// how many bytes of p it has used.
func (c *Conn) splitFrame(h Handler, p []byte) (int, error) {
	if len(c.unparsed) == 0 {
		return c.parseFrame(h, p, p)
	}
	// The parts are put together on the stack: a header, and as many bytes behind it
	// as a control frame may have.
	var joint [maxSplitFrame]byte
	n := copy(joint[:], c.unparsed)
	n += copy(joint[n:], p)
	return c.parseFrame(h, p, joint[:n])
}

// parseFrame parses a frame. view has c.unparsed and p in one piece: as much of them as a
// header and the payload of a control frame can need.
func (c *Conn) parseFrame(h Handler, p, view []byte) (int, error) {
	hd, size, err := header(view, c.op != ws.OpContinuation, c.compression != nil, c.client)
	if err != nil {
		return 0, err
	}
	start := size
	if hd.OpCode.IsControl() {
		size += int(hd.Length)
	}
	if start == 0 || len(view) < size {
		c.unparsed = append(c.unparsed, p...)
		return len(p), nil
	}
	used := size - len(c.unparsed)
	c.unparsed = nil
	if hd.OpCode.IsControl() {
		return used, c.control(h, hd, view[start:size])
	}
	n, err := c.beginData(h, hd, p[used:])
	return used + n, err
}

// control handles a complete control frame, which may stand between the
// fragments of a message (RFC 6455 section 5.5).
func (c *Conn) control(h Handler, hd ws.Header, payload []byte) error {
	c.unmask(payload, hd.Mask, 0)
	switch hd.OpCode {
	case ws.OpPing:
		h.Control(frame.Pong(payload))
	case ws.OpClose:
		err := parseClose(payload)
		if e, ok := err.(*CloseError); ok { //nolint:errorlint // made by closing, never wrapped
			h.Control(e.echo())
			if c.raw != nil { // TLS has an alert to exchange, and ends as after our own close frame
				c.state.CompareAndSwap(stateOpen, statePeerClosed)
			}
		}
		return err
	default: // A pong needs no answer, asked for or not (section 5.5.3).
	}
	return nil
}

// beginData begins a data frame whose payload begins with p. A message that is
// complete in p is handed over without being copied.
func (c *Conn) beginData(h Handler, hd ws.Header, p []byte) (int, error) {
	if hd.OpCode != ws.OpContinuation {
		c.op, c.compressed = hd.OpCode, hd.Rsv != 0
	}
	if hd.Length > int64(c.limit())-int64(len(c.msg)) {
		return 0, errTooBig()
	}
	size := int(hd.Length)
	if !hd.Fin || len(c.msg) > 0 || size > len(p) {
		c.fin, c.remaining, c.mask, c.maskPos = hd.Fin, size, hd.Mask, 0
		return c.addPayload(h, p)
	}
	whole := p[:size]
	c.unmask(whole, hd.Mask, 0)
	if c.op == ws.OpText && !c.compressed && !utf8.Valid(whole) {
		return 0, errNotUTF8()
	}
	return size, c.deliver(h, whole)
}

// addPayload adds payload of the current frame to the message. If the message is complete
// then, it is handed over.
func (c *Conn) addPayload(h Handler, p []byte) (int, error) {
	p = p[:min(len(p), c.remaining)]
	c.unmask(p, c.mask, int(c.maskPos))
	c.maskPos = uint8((int(c.maskPos) + len(p)) % maskSize) //nolint:gosec // below 4
	c.grow(len(p))
	c.msg = append(c.msg, p...)
	c.remaining -= len(p)
	last := c.fin && c.remaining == 0
	if c.op == ws.OpText && !c.compressed && !c.validText(last) {
		return 0, errNotUTF8()
	}
	if !last {
		return len(p), nil
	}
	whole := c.msg
	c.msg, c.validLen = nil, 0
	return len(p), c.deliver(h, whole)
}

// unmask decodes payload that a client has masked. Servers do not mask.
func (c *Conn) unmask(p []byte, mask [maskSize]byte, pos int) {
	if !c.client {
		ws.Cipher(p, mask, pos)
	}
}

// deliver hands a whole message over. All messages come through here.
func (c *Conn) deliver(h Handler, p []byte) error {
	isBinary := c.op == ws.OpBinary
	c.op = ws.OpContinuation
	if c.compressed {
		return c.deliverCompressed(h, isBinary, p)
	}
	h.Message(isBinary, p)
	return nil
}

// limit is how many bytes the current message may have as it comes.
func (c *Conn) limit() int {
	if c.compressed {
		return maxCompressed(c.maxMessage)
	}
	return c.maxMessage
}

// grow makes room for n bytes more of the message. It doubles the memory, so that a
// message in many parts is not copied for each of them. It never takes more than twice
// the bytes that have come, nor more than the message can still need.
func (c *Conn) grow(n int) {
	have := len(c.msg)
	if have+n <= cap(c.msg) {
		return
	}
	limit := c.limit()
	if c.fin {
		limit = have + c.remaining
	}
	size := min(max(2*(have+n), minGrow), limit)
	c.msg = append(make([]byte, 0, size), c.msg...)
}

// validText reports whether the message can still be, or if complete, is UTF-8
// (RFC 6455 section 8.1). It looks at every byte once, so that bad text is
// refused as soon as it comes and not only after a long message.
func (c *Conn) validText(complete bool) bool {
	p := c.msg[c.validLen:]
	if !complete {
		p = p[:len(p)-unfinished(p)]
	}
	c.validLen += len(p)
	return utf8.Valid(p)
}

// unfinished returns the number of bytes at the end of p that are the beginning
// of a character whose other bytes may still come.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) { // or one that is invalid already
				return 0
			}
			return n
		}
	}
	return 0
}
