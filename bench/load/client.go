package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/gobwas/ws"
)

// A peer is a client on any transport, and not safe for concurrent use. What is
// sent is written no later than next waits. What next returns is valid until it is
// called again.
type peer interface {
	send(op ws.OpCode, payload []byte)
	next() (op ws.OpCode, payload []byte, err error)
}

// expect fails unless the next message is this one.
func expect(p peer, op ws.OpCode, want []byte) error {
	gotOp, got, err := p.next()
	if err == nil && (gotOp != op || !bytes.Equal(got, want)) {
		err = fmt.Errorf("received %.80q (opcode %d, %d bytes), want %.80q (opcode %d, %d bytes)",
			got, gotOp, len(got), want, op, len(want))
	}
	return err
}

// join joins the root namespace.
func join(p peer) error {
	p.send(ws.OpText, []byte("40"))
	_, text, err := p.next()
	if err == nil && !bytes.HasPrefix(text, []byte(`40{"sid":"`)) {
		err = fmt.Errorf("received %.50q instead of a socket", text)
	}
	return err
}

// session returns the id in the packet that opens a session.
func session(packet []byte) (string, error) {
	var open struct {
		SID string `json:"sid"`
	}
	data, ok := bytes.CutPrefix(packet, []byte("0"))
	if !ok || json.Unmarshal(data, &open) != nil || open.SID == "" {
		return "", fmt.Errorf("received %.50q instead of a session", packet)
	}
	return open.SID, nil
}

// A conn is a connection that ends with the run, at the latest.
type conn struct {
	net.Conn

	forget func() bool
}

func (r *run) dial(ctx context.Context, id int) (conn, error) {
	d := net.Dialer{
		// One source address has ports for 28,000 connections in a minute.
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+id%250))}, //nolint:gosec // at most 251
		KeepAlive: -1,
	}
	c, err := d.DialContext(ctx, "tcp", r.server(id).addr)
	if err != nil {
		return conn{}, err
	}
	return conn{c, context.AfterFunc(ctx, func() { _ = c.Close() })}, nil
}

func (c conn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// browser is what browsers send with every request.
const browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en-GB,en;q=0.9\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n"

// A wsClient is a client on WebSocket.
type wsClient struct {
	conn    conn
	in      *bufio.Reader
	payload []byte       // of the last frame that was read
	out     bytes.Buffer // frames to be written
}

// connect opens a session over WebSocket and joins the root namespace.
func (r *run) connect(ctx context.Context, id int) (*wsClient, error) {
	c, err := r.webSocket(ctx, id, "")
	if err != nil {
		return nil, err
	}
	_, text, err := c.next()
	if err == nil {
		_, err = session(text)
	}
	if err == nil {
		err = join(c)
	}
	if err != nil {
		_ = c.conn.Close()
	}
	return c, err
}

// webSocket opens a WebSocket, for a new session or for the one with this id.
func (r *run) webSocket(ctx context.Context, id int, sid string) (*wsClient, error) {
	conn, err := r.dial(ctx, id)
	if err != nil {
		return nil, err
	}
	addr := r.server(id).addr
	d := ws.Dialer{
		NetDial: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Header:  ws.HandshakeHeaderString("Origin: http://" + addr + "\r\n" + browser),
	}
	url := "ws://" + addr + "/socket.io/?EIO=4&transport=websocket"
	if sid != "" {
		url += "&sid=" + sid
	}
	_, ahead, _, err := d.Dial(ctx, url)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	if ahead == nil { // otherwise it holds what came with the answer
		ahead = bufio.NewReaderSize(conn, 1024)
	}
	return &wsClient{conn: conn, in: ahead}, nil
}

func (c *wsClient) send(op ws.OpCode, payload []byte) { appendFrame(&c.out, op, payload) }

// post writes a message at once. Unlike send it may be called while another
// goroutine waits in next.
func (c *wsClient) post(op ws.OpCode, payload []byte) error {
	var b bytes.Buffer
	appendFrame(&b, op, payload)
	_, err := c.conn.Write(b.Bytes())
	return err
}

func appendFrame(b *bytes.Buffer, op ws.OpCode, payload []byte) {
	h := ws.Header{Fin: true, OpCode: op, Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: int64(len(payload))}
	_ = ws.WriteHeader(b, h) // cannot fail: the buffer grows
	start := b.Len()
	b.Write(payload)
	ws.Cipher(b.Bytes()[start:], h.Mask, 0)
}

func (c *wsClient) next() (op ws.OpCode, payload []byte, err error) {
	for {
		op, err = c.read()
		switch {
		case errors.Is(err, io.EOF), err == nil && op == ws.OpClose:
			return 0, nil, errClosed
		case err != nil:
			return 0, nil, err
		case op == ws.OpText && string(c.payload) == "2":
			c.send(ws.OpText, []byte("3"))
		case op == ws.OpPing:
			c.send(ws.OpPong, c.payload)
		default:
			return op, c.payload, nil
		}
	}
}

var errClosed = errors.New("the server closed the connection")

// read reads a message, and writes what is to be sent if it has to wait.
func (c *wsClient) read() (ws.OpCode, error) {
	if c.in.Buffered() == 0 && c.out.Len() > 0 {
		if _, err := c.out.WriteTo(c.conn); err != nil {
			return 0, err
		}
	}
	c.payload = c.payload[:0]
	first, err := c.readFrame()
	for last := first; err == nil && !last.Fin; {
		if last, err = c.readFrame(); err == nil && last.OpCode != ws.OpContinuation {
			err = fmt.Errorf("received a frame within a message of several: %+v", last)
		}
	}
	if err == nil && first.OpCode == ws.OpContinuation {
		err = fmt.Errorf("received the end of a message that has not begun: %+v", first)
	}
	return first.OpCode, err
}

// readFrame appends the payload of a frame to c.payload.
func (c *wsClient) readFrame() (ws.Header, error) {
	h, err := ws.ReadHeader(c.in)
	if err != nil {
		return h, err
	}
	const limit = 1 << 20
	start := len(c.payload)
	if h.Rsv != 0 || h.Masked || int64(start)+h.Length > limit {
		return h, fmt.Errorf("received a frame that no server of this benchmark has reason to send: %+v", h)
	}
	c.payload = slices.Grow(c.payload, int(h.Length))[:start+int(h.Length)]
	_, err = io.ReadFull(c.in, c.payload[start:])
	return h, err
}

// goingAway is the payload of the frame that ends a connection.
func goingAway() []byte { return ws.NewCloseFrameBody(ws.StatusGoingAway, "") }

// close closes the connection in the way of the protocol, and waits until the
// server has closed it too.
func (c *wsClient) close() error {
	defer func() { _ = c.conn.Close() }()
	c.send(ws.OpClose, goingAway())
	for {
		switch _, _, err := c.next(); {
		case errors.Is(err, errClosed):
			_, _ = io.Copy(io.Discard, c.conn)
			return nil
		case err != nil:
			return err
		}
	}
}
