package enginetest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// maxFrames is how many frames a client keeps that the test does not look at.
const maxFrames = 1 << 14

// A Conn is the client's end of a WebSocket connection, frame by frame. It
// reads in the background, as a network would, and answers nothing by itself.
type Conn struct {
	net.Conn

	// Head is the answer to the handshake.
	Head *http.Response

	kit    *Kit
	reader *bufio.Reader
	frames chan Frame
	start  sync.Once
}

// A Frame is what the server sent.
type Frame struct {
	Op      ws.OpCode
	Payload string
	At      time.Time
}

// NewConn reads the answer to a handshake, which has to be 101, from a new
// connection. It reads the frames behind it only after [Conn.Resume].
func (k *Kit) NewConn(nc net.Conn) *Conn {
	k.t.Helper()
	c := &Conn{Conn: nc, kit: k, reader: bufio.NewReader(nc), frames: make(chan Frame, maxFrames)}
	k.mu.Lock()
	k.conns = append(k.conns, c)
	k.mu.Unlock()
	var err error
	c.Head, err = http.ReadResponse(c.reader, nil) //nolint:bodyclose // closed below; a 101 has none
	if err != nil {
		k.t.Fatalf("reading the answer to the handshake: %v", err)
	}
	_ = c.Head.Body.Close()
	if c.Head.StatusCode != http.StatusSwitchingProtocols {
		k.t.Fatalf("answer to the handshake: %s", c.Head.Status)
	}
	return c
}

// Resume begins to read. It may be called again.
func (c *Conn) Resume() {
	c.start.Do(func() { c.kit.running.Go(c.read) })
}

func (c *Conn) read() {
	defer close(c.frames)
	for {
		f, err := ws.ReadFrame(c.reader)
		if err != nil {
			return
		}
		c.frames <- Frame{f.Header.OpCode, string(f.Payload), time.Now()}
	}
}

// NextFrame waits for the next frame; ok is false at the end of the connection.
func (c *Conn) NextFrame() (f Frame, ok bool) {
	f, ok = <-c.frames
	return f, ok
}

// Next waits for the next frame and returns it in short form: text as it is,
// binary as <hex>, control frames as "close", "close 1009 too big",
// "pong hello", and "end" at the end of the connection.
func (c *Conn) Next() string {
	f, ok := c.NextFrame()
	if !ok {
		return "end"
	}
	return f.String()
}

// Waiting returns what Next would without waiting, "" if nothing has come.
func (c *Conn) Waiting() string {
	select {
	case f, ok := <-c.frames:
		if !ok {
			return "end"
		}
		return f.String()
	default:
		return ""
	}
}

func (f Frame) String() string {
	switch f.Op {
	case ws.OpText:
		return f.Payload
	case ws.OpBinary:
		return spell(true, []byte(f.Payload))
	case ws.OpPing:
		return "ping " + f.Payload
	case ws.OpPong:
		return "pong " + f.Payload
	case ws.OpClose:
		const codeSize = 2
		if len(f.Payload) < codeSize {
			return "close"
		}
		return fmt.Sprintf("close %d %s", binary.BigEndian.Uint16([]byte(f.Payload)), f.Payload[codeSize:])
	default:
		return fmt.Sprintf("opcode %d %q", f.Op, f.Payload)
	}
}

// Text sends a text message.
func (c *Conn) Text(s string) { c.frame(ws.NewTextFrame([]byte(s))) }

// Binary sends a binary message.
func (c *Conn) Binary(s string) { c.frame(ws.NewBinaryFrame([]byte(s))) }

// Ping sends a ping frame.
func (c *Conn) Ping(s string) { c.frame(ws.NewPingFrame([]byte(s))) }

// SendClose sends a close frame, without a code if it is 0.
func (c *Conn) SendClose(code ws.StatusCode) {
	var body []byte
	if code != 0 {
		body = ws.NewCloseFrameBody(code, "")
	}
	c.frame(ws.NewCloseFrame(body))
}

func (c *Conn) frame(f ws.Frame) { c.Raw(Masked(f)) }

// Raw sends bytes. That the server has hung up is no failure: the test sees it.
func (c *Conn) Raw(p []byte) {
	c.kit.t.Helper()
	if _, err := c.Write(p); err != nil && !connClosed(err) {
		c.kit.t.Errorf("writing to the server: %v", err)
	}
}

func connClosed(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

// Masked returns the bytes of a frame as a client sends it.
func Masked(f ws.Frame) []byte {
	p, err := ws.CompileFrame(ws.MaskFrameInPlaceWith(f, [4]byte{1, 2, 3, 4}))
	if err != nil {
		return nil // cannot happen: a frame has a header and its bytes
	}
	return p
}

// MaskedText returns the bytes of a text message as a client sends it.
func MaskedText(s string) []byte { return Masked(ws.NewTextFrame([]byte(s))) }
