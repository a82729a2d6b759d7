package sessiontest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/gobwas/ws"
)

// A wsConn is a WebSocket. What is sent waits until the server reads: there is nothing
// between the two that could hold a byte.
type wsConn struct {
	client  *client
	session *session
	conn    net.Conn
	ready   chan struct{} // closed when the handshake is over
	failed  bool          // or it was refused; after ready

	mu    sync.Mutex
	more  *sync.Cond
	queue []outgoing
	ended bool
}

// Outgoing are bytes, and the events in them.
type outgoing struct {
	bytes   []byte
	numbers []int
}

// newConn returns a WebSocket to be opened, for a new session or for one that has begun.
func (c *client) newConn(s *session) *wsConn {
	conn, err := c.dial.Dial(context.Background(), "tcp", "")
	if err != nil {
		c.t.Fatalf("dialling: %v", err)
	}
	l := &wsConn{client: c, session: s, conn: conn, ready: make(chan struct{})}
	l.more = sync.NewCond(&l.mu)
	return l
}

// open makes the handshake; what has been sent follows.
func (l *wsConn) open() {
	url := l.client.dial.Endpoint(l.client.query(l.session, "websocket")...)
	go l.write()
	go l.read(url)
}

// send queues packets, each in a frame; they leave together.
func (l *wsConn) send(items ...item) {
	var all []byte
	for _, it := range items {
		f := ws.NewTextFrame([]byte(it.packet))
		data, isBinary := strings.CutPrefix(it.packet, "b")
		if raw, err := base64.StdEncoding.DecodeString(data); isBinary && err == nil {
			if l.client.old {
				raw = append([]byte{4}, raw...)
			}
			f = ws.NewBinaryFrame(raw)
		}
		all = append(all, frame(f)...)
	}
	l.raw(all, numbers(items)...)
}

func frame(f ws.Frame) []byte {
	var buf bytes.Buffer
	_ = ws.WriteFrame(&buf, ws.MaskFrameInPlace(f)) // memory takes everything
	return buf.Bytes()
}

// raw queues bytes.
func (l *wsConn) raw(p []byte, numbers ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, outgoing{p, numbers})
	l.more.Signal()
}

func (l *wsConn) write() {
	<-l.ready
	for {
		l.mu.Lock()
		for len(l.queue) == 0 && !l.ended {
			l.more.Wait()
		}
		if l.ended {
			l.mu.Unlock()
			return
		}
		out := l.queue[0]
		l.queue = l.queue[1:]
		l.mu.Unlock()
		if _, err := l.conn.Write(out.bytes); err != nil {
			l.close()
			return
		}
		l.client.model.markRead(out.numbers)
	}
}

func (l *wsConn) read(url string) {
	defer l.close()
	r := bufio.NewReader(l.conn)
	if !l.handshake(r, url) {
		l.failed = true
		close(l.ready)
		return
	}
	close(l.ready)
	for l.mayRead() {
		f, err := ws.ReadFrame(r)
		if err != nil {
			return
		}
		switch f.Header.OpCode {
		case ws.OpText:
			if string(f.Payload) == "3probe" {
				l.client.probeAnswered(l)
				continue
			}
			l.client.receive(l.session, string(f.Payload))
		case ws.OpBinary:
			l.client.receive(l.session, "b")
		case ws.OpClose:
			l.raw(frame(ws.NewCloseFrame(f.Payload)))
			return
		default:
		}
	}
}

func (l *wsConn) handshake(r *bufio.Reader, url string) bool {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		l.client.t.Errorf("a request: %v", err)
		return false
	}
	request.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Version": {"13"},
	}
	if err := request.Write(l.conn); err != nil {
		return false
	}
	res, err := http.ReadResponse(r, request)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusSwitchingProtocols
}

// mayRead waits while the client does not read. It reports whether to go on: a client
// that has hung up does not look at what came before.
func (l *wsConn) mayRead() bool {
	c := l.client
	c.mu.Lock()
	for c.paused {
		c.resume.Wait()
	}
	c.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ended
}

// close ends the connection; it may be called again.
func (l *wsConn) close() {
	l.mu.Lock()
	l.ended = true
	l.more.Signal()
	l.mu.Unlock()
	_ = l.conn.Close()
}

// upgrade begins to move the session to WebSocket.
func (c *client) upgrade() {
	c.mu.Lock()
	s := c.session
	can := s.ws == nil && s.probe == nil && s.sid != ""
	c.mu.Unlock()
	if !can {
		return
	}
	l := c.newConn(s)
	c.mu.Lock()
	s.probe = l
	c.mu.Unlock()
	l.send(item{"2probe", -1})
	l.open()
}

// probeAnswered is called when the server has answered the probe: the client stops polling.
func (c *client) probeAnswered(l *wsConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.session.probed = l.session.probe == l
}

// switchOver ends the upgrade. The protocol wants all requests to have ended before.
func (c *client) switchOver(evenIfEarly bool) {
	c.mu.Lock()
	s := c.session
	early := s.polls > 0 || !s.probed
	can := s.ws == nil && s.probe != nil && !s.posting && !s.aborted && (!early || evenIfEarly)
	if can {
		s.ws, s.brokeRules = s.probe, s.brokeRules || early
	}
	c.mu.Unlock()
	if can {
		s.ws.send(item{"5", -1})
	}
}
