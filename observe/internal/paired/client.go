package paired

import (
	"bufio"
	"fmt"
	"net"
	"testing"
)

// A Client is a WebSocket that costs little. Its masks are all zero.
type Client struct {
	net.Conn

	in  *bufio.Reader
	buf []byte
}

// Open connects a client with the namespace "/".
func Open(b *testing.B, address string) *Client {
	b.Helper()
	var d net.Dialer
	conn, err := d.DialContext(b.Context(), "tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	c := &Client{conn, bufio.NewReaderSize(conn, 512), make([]byte, 512)}
	_, err = fmt.Fprintf(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	for line := ""; err == nil && line != "\r\n"; {
		line, err = c.in.ReadString('\n')
	}
	if err != nil {
		b.Fatal(err)
	}
	c.frame(b) // the open packet
	c.send(b, "40")
	c.frame(b)
	return c
}

// send sends a packet of at most 125 bytes.
func (c *Client) send(b *testing.B, packet string) {
	b.Helper()
	c.buf = append(append(c.buf[:0], 0x81, 0x80|byte(len(packet)&0x7f), 0, 0, 0, 0), packet...)
	if _, err := c.Write(c.buf); err != nil {
		b.Error(err)
	}
}

// frame reads one small frame, and drops it.
func (c *Client) frame(b *testing.B) {
	b.Helper()
	head, err := c.in.Peek(2)
	if err != nil {
		b.Fatal(err)
	}
	size := 2 + int(head[1])
	if head[1] == 126 {
		if head, err = c.in.Peek(4); err != nil {
			b.Fatal(err)
		}
		size = 4 + (int(head[2])<<8 | int(head[3]))
	}
	if _, err := c.in.Discard(size); err != nil {
		b.Fatal(err)
	}
}

// read reads a frame of that size.
func (c *Client) read(b *testing.B, size int) {
	b.Helper()
	for n := 2 + size; n > 0; {
		m, err := c.in.Read(c.buf[:min(n, cap(c.buf))])
		if err != nil {
			b.Error(err)
			return
		}
		n -= m
	}
}
