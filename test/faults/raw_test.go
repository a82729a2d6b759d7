package faults_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// The frames of a client, byte by byte (RFC 6455 section 5.2).
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
)

// frame returns a masked frame.
func frame(op byte, fin bool, payload string) []byte {
	mask := [4]byte{1, 2, 3, 4}
	head := []byte{op, 0x80}
	if fin {
		head[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		head[1] |= byte(n)
	case n < 1<<16:
		head[1] |= 126
		head = binary.BigEndian.AppendUint16(head, uint16(n))
	default:
		head[1] |= 127
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	head = append(head, mask[:]...)
	for i := range len(payload) {
		head = append(head, payload[i]^mask[i%len(mask)])
	}
	return head
}

func text(payload string) []byte { return frame(opText, true, payload) }

// webSocketRequest is a handshake for a new session, or to upgrade that of the id.
func webSocketRequest(sid string) []byte {
	query := "EIO=4&transport=websocket"
	if sid != "" {
		query += "&sid=" + sid
	}
	return []byte("GET /socket.io/?" + query + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
}

// A raw is a connection whose bytes the test writes and reads itself.
type raw struct {
	net.Conn

	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newRaw(t, c)
}

func newRaw(t *testing.T, c net.Conn) *raw {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	return &raw{Conn: c, t: t, r: bufio.NewReader(c)}
}

// send writes bytes, which has to succeed.
func (c *raw) send(p ...[]byte) {
	c.t.Helper()
	for _, p := range p {
		if _, err := c.Write(p); err != nil {
			c.t.Fatal(err)
		}
	}
}

// drain reads until the connection ends.
func (c *raw) drain() { _, _ = io.Copy(io.Discard, c.r) }

// switched reads the answer to a WebSocket handshake.
func (c *raw) switched() {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatalf("answered %s", res.Status)
	}
}

// next reads a frame of the server: its opcode and payload.
func (c *raw) next() (op byte, payload string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1] & 0x7F)
	var long [8]byte
	switch n {
	case 126:
		_, err = io.ReadFull(c.r, long[6:])
		n = binary.BigEndian.Uint64(long[:])
	case 127:
		_, err = io.ReadFull(c.r, long[:])
		n = binary.BigEndian.Uint64(long[:])
	}
	if err != nil {
		return 0, "", err
	}
	p := make([]byte, n)
	_, err = io.ReadFull(c.r, p)
	return head[0] & 0x0F, string(p), err
}

// want reads frames with these beginnings, and skips pings.
func (c *raw) want(prefixes ...string) {
	c.t.Helper()
	for _, prefix := range prefixes {
		_, p, err := c.next()
		for p == "2" && prefix != "2" && err == nil {
			_, p, err = c.next()
		}
		if err != nil || !strings.HasPrefix(p, prefix) {
			c.t.Fatalf("read %.80q, %v, want %q", p, err, prefix)
		}
	}
}

// connected reads until the server has accepted the client. It reports whether it has.
func (c *raw) connected() bool {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	for {
		_, p, err := c.next()
		if err != nil || strings.HasPrefix(p, `40{"sid":`) {
			return err == nil
		}
	}
}

// openWebSocket opens a session and connects to the root namespace.
func openWebSocket(t *testing.T, addr string) *raw {
	t.Helper()
	c := dial(t, addr)
	c.send(webSocketRequest(""), text("40"))
	c.switched()
	c.want(`0{"sid":`, `40{"sid":`)
	return c
}

// request returns an HTTP request to a polling session.
func request(method, sid, body string) []byte {
	query := "EIO=4&transport=polling"
	if sid != "" {
		query += "&sid=" + sid
	}
	head := method + " /socket.io/?" + query + " HTTP/1.1\r\nHost: localhost\r\n"
	if method == http.MethodPost {
		head += fmt.Sprintf("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n", len(body))
	}
	return []byte(head + "\r\n" + body)
}

// answer reads the answer to a request: its status and its body.
func (c *raw) answer() (status int, body string, err error) {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	p, err := io.ReadAll(res.Body)
	return res.StatusCode, string(p), err
}

// do sends a request on a connection of its own, and returns the answer.
func do(t *testing.T, addr, method, sid, body string) (status int, answer string) {
	t.Helper()
	c := dial(t, addr)
	defer func() { _ = c.Close() }()
	c.send(request(method, sid, body))
	status, answer, err := c.answer()
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

// openPolling opens a session and connects to the root namespace. It returns the id.
func openPolling(t *testing.T, addr string) (sid string) {
	t.Helper()
	_, answer := do(t, addr, http.MethodGet, "", "")
	var open struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "0")), &open); err != nil {
		t.Fatalf("%q: %v", answer, err)
	}
	wantAnswer(t, addr, http.MethodPost, open.SID, "40", http.StatusOK, "ok")
	if _, answer := do(t, addr, http.MethodGet, open.SID, ""); !strings.HasPrefix(answer, `40{"sid":`) {
		t.Fatalf("connected: %q", answer)
	}
	return open.SID
}

// wantAnswer makes a request on a connection of its own.
func wantAnswer(t *testing.T, addr, method, sid, body string, status int, answer string) {
	t.Helper()
	if gotStatus, got := do(t, addr, method, sid, body); gotStatus != status || got != answer {
		t.Fatalf("%s %q: %d %q, want %d %q", method, body, gotStatus, got, status, answer)
	}
}

// unknownSession is the answer to a request for a session that does not exist any more.
const unknownSession = `{"code":1,"message":"Session ID unknown"}`
