package sioclient_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/websocket"
)

// openPacket is the first packet of a server that is in order.
const openPacket = `0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

// A rogue is a server that a test writes itself, packet by packet. Each function may be
// nil.
type rogue struct {
	ws   func(c *rogueConn)                           // a WebSocket was opened
	poll func(w http.ResponseWriter, r *http.Request) // a request of polling
}

// ServeHTTP implements [http.Handler].
func (r *rogue) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !websocket.IsUpgrade(req.Header) {
		if r.poll == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		r.poll(w, req)
		return
	}
	hs, bad := websocket.Check(req.Method, req.Header)
	h, ok := w.(http.Hijacker)
	if bad != nil || !ok || r.ws == nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	nc, rw, err := h.Hijack()
	if err != nil {
		return
	}
	defer func() { _ = nc.Close() }()
	header := http.Header{}
	hs.SetHeader(header)
	_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.Write(nc)
	_, _ = io.WriteString(nc, "\r\n")
	r.ws(&rogueConn{Conn: nc, r: rw.Reader})
}

// dialer serves the rogue in memory.
func (r *rogue) dialer(t *testing.T) siotest.Dialer {
	t.Helper()
	return siotest.Pipes(t, r)
}

// A rogueConn is the server's end of a WebSocket.
type rogueConn struct {
	net.Conn

	r *bufio.Reader
}

// frame returns a frame of a server.
func frame(opcode byte, payload string) []byte {
	p := []byte{0x80 | opcode}
	switch n := len(payload); {
	case n < 126:
		p = append(p, byte(n))
	case n < 1<<16:
		p = binary.BigEndian.AppendUint16(append(p, 126), uint16(n))
	default:
		p = binary.BigEndian.AppendUint64(append(p, 127), uint64(n))
	}
	return append(p, payload...)
}

// send sends text messages, and reports whether the client is still there.
func (c *rogueConn) send(messages ...string) bool {
	for _, m := range messages {
		if _, err := c.Write(frame(1, m)); err != nil {
			return false
		}
	}
	return true
}

// next returns the next frame of the client: the text of a text message, "<hex>" for
// another frame, and "end" at the end.
func (c *rogueConn) next() string {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return "end"
	}
	size := int64(head[1] & 0x7f)
	switch size {
	case 126:
		var n [2]byte
		_, _ = io.ReadFull(c.r, n[:])
		size = int64(binary.BigEndian.Uint16(n[:]))
	case 127:
		var n [8]byte
		_, _ = io.ReadFull(c.r, n[:])
		size = int64(binary.BigEndian.Uint64(n[:]))
	}
	var mask [4]byte
	_, _ = io.ReadFull(c.r, mask[:])
	p := make([]byte, size)
	if _, err := io.ReadFull(c.r, p); err != nil {
		return "end"
	}
	for i := range p {
		p[i] ^= mask[i%4]
	}
	if opcode := head[0] & 0xf; opcode != 1 {
		return fmt.Sprintf("<%x %x>", opcode, p)
	}
	return string(p)
}

// drain reads until the client closes.
func (c *rogueConn) drain() {
	for f := c.next(); f != "end" && !strings.HasPrefix(f, "<8"); f = c.next() { //nolint:revive // the content is of no interest
	}
}

// accept is what a server in order does first: it opens the session and accepts the root
// namespace.
func (c *rogueConn) accept() bool {
	return c.send(openPacket) && c.next() == "40" && c.send(`40{"sid":"a"}`)
}
