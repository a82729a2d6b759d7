package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/gobwas/ws"
)

// A pollClient is a client on HTTP long-polling. As browsers do, it asks again as
// soon as it has an answer, on one connection, and sends on another.
type pollClient struct {
	sid       string
	get, post *httpConn
	asked     bool   // and not answered yet
	in        []byte // packets that were received
	out       []byte // packets to be sent
}

// poll opens a session over polling and joins the root namespace.
func (r *run) poll(ctx context.Context, id int) (*pollClient, error) {
	get, err := r.http(ctx, id)
	if err != nil {
		return nil, err
	}
	p := &pollClient{get: get}
	if p.post, err = r.http(ctx, id); err != nil {
		p.close()
		return nil, err
	}
	_, open, err := p.next()
	if err == nil {
		p.sid, err = session(open)
	}
	if err == nil {
		err = join(p)
	}
	if err != nil {
		p.close()
	}
	return p, err
}

func (p *pollClient) close() {
	_ = p.get.conn.Close()
	if p.post != nil {
		_ = p.post.conn.Close()
	}
}

// send implements [peer]. Binary data is not supported: over polling it is text.
func (p *pollClient) send(_ ws.OpCode, payload []byte) {
	if len(p.out) > 0 {
		p.out = append(p.out, separator)
	}
	p.out = append(p.out, payload...)
}

// separator is what stands between packets.
const separator = '\x1e'

func (p *pollClient) next() (op ws.OpCode, payload []byte, err error) {
	for {
		for len(p.in) == 0 {
			if p.in, err = p.exchange(); err != nil {
				return 0, nil, err
			}
		}
		payload, p.in, _ = bytes.Cut(p.in, []byte{separator})
		if string(payload) != "2" {
			return ws.OpText, payload, nil
		}
		p.send(ws.OpText, []byte("3"))
	}
}

// exchange asks, sends what is to be sent, and waits for an answer.
func (p *pollClient) exchange() ([]byte, error) {
	if err := p.ask(); err != nil {
		return nil, err
	}
	if len(p.out) > 0 {
		if err := p.post.request("POST", p.sid, p.out); err != nil {
			return nil, err
		}
		p.out = p.out[:0]
		if _, err := p.post.answer(); err != nil {
			return nil, err
		}
	}
	p.asked = false
	return p.get.answer()
}

// ask asks for packets, unless that has been done.
func (p *pollClient) ask() error {
	if p.asked {
		return nil
	}
	p.asked = true
	return p.get.request("GET", p.sid, nil)
}

// An httpConn is a connection for one request after the other.
type httpConn struct {
	conn    conn
	host    string
	in      *bufio.Reader
	out     bytes.Buffer
	content bytes.Buffer
}

func (r *run) http(ctx context.Context, id int) (*httpConn, error) {
	conn, err := r.dial(ctx, id)
	if err != nil {
		return nil, err
	}
	return &httpConn{conn: conn, host: r.server(id).addr, in: bufio.NewReaderSize(conn, 1024)}, nil
}

func (h *httpConn) request(method, sid string, body []byte) error {
	h.out.Reset()
	fmt.Fprintf(&h.out, "%s /socket.io/?EIO=4&transport=polling&t=x", method)
	if sid != "" {
		fmt.Fprintf(&h.out, "&sid=%s", sid)
	}
	fmt.Fprintf(&h.out, " HTTP/1.1\r\nHost: %s\r\n%s", h.host, browser)
	if body != nil {
		fmt.Fprintf(&h.out, "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n", len(body))
	}
	h.out.WriteString("\r\n")
	h.out.Write(body)
	_, err := h.out.WriteTo(h.conn)
	return err
}

// answer reads the answer to a request. It is valid until the next one is read.
func (h *httpConn) answer() ([]byte, error) {
	res, err := http.ReadResponse(h.in, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	h.content.Reset()
	if _, err := io.Copy(&h.content, res.Body); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s: %.50q", res.Status, h.content.Bytes())
	}
	return h.content.Bytes(), nil
}
