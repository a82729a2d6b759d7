package websocket

// minWindow is the smallest buffer of a window.
const minWindow = 512

// A window has the last bytes that were compressed in one direction. With a context
// takeover, later messages may refer to them. Its memory grows with its content. A nil
// window is always empty.
type window struct {
	buf  []byte
	size int
}

func newWindow(bits int) *window { return &window{size: 1 << bits} }

// bytes returns the content, valid until the next add.
func (w *window) bytes() []byte {
	if w == nil {
		return nil
	}
	return w.buf
}

// add appends p to the content, and drops the oldest bytes.
func (w *window) add(p []byte) {
	if w == nil {
		return
	}
	if len(p) > w.size {
		p = p[len(p)-w.size:]
	}
	if old := len(w.buf) + len(p) - w.size; old > 0 {
		w.buf = w.buf[:copy(w.buf, w.buf[old:])]
	}
	if need := len(w.buf) + len(p); need > cap(w.buf) {
		size := min(max(2*need, minWindow), w.size)
		w.buf = append(make([]byte, 0, size), w.buf...)
	}
	w.buf = append(w.buf, p...)
}
