package engine

import (
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// A carrier is a connection that a session can have to itself, apart from
// polling's requests. A WebSocket is one; a stream of WebTransport would be
// another. [websocket.Conn] documents the methods.
type carrier interface {
	Serve(h websocket.Handler) error
	Write(frames []*frame.Frame) (blocked bool, err error)
	Drain() error
	CloseWithin(d time.Duration)
	Close() error
}

// A wsTransport is a connection on its way to carry a session, or carrying it. It
// implements [websocket.Handler].
type wsTransport struct {
	session  *Session
	name     string // of the transport
	conn     carrier
	onClosed func() // tells where the connection came from that it is over; may be nil

	// active: this connection carries the session. It is written by the read
	// loop, under the session's mu, and read by the read loop.
	active bool

	// Of the read loop alone:
	rejected bool // refused to carry the session; the rest of its input is ignored
	tracked  bool // the server has noted it, see [Server.trackClosingConn]

	// Guarded by the session's mu.
	timer         deadline.Item[*wsTransport] // for the upgrade; then, for the work to be done
	probeAnswered bool                        // the answer to the client's probe has been sent, or is about to be
	committed     bool                        // the client has sent its upgrade packet
	turn          readTurn
}

// serveUpgrade answers a WebSocket handshake: for a new session if s is nil,
// otherwise to take over from polling.
func (e *Server) serveUpgrade(x *httpExchange, s *Session) {
	req := x.Request()
	hs, bad := websocket.Check(req.Method, req.Header)
	if bad != nil {
		respond(x, handshakeRefused(bad))
		return
	}
	header := http.Header{}
	hs.Deflate = e.deflate.Accept(req.Header)
	hs.SetHeader(header)
	if e.readLoops.Closed() {
		respond(x, shuttingDown())
		return
	}
	err := x.Upgrade(header, func(up Upgraded) func() {
		conn := websocket.New(up.Conn, e.opts.MaxHTTPBufferSize, up.Ahead)
		t := &wsTransport{session: s, name: WebSocket, conn: conn, onClosed: up.Done, turn: readTurn{number: 1}}
		if !e.readLoops.Enter() { // closed since we looked; it is too late for another answer
			_ = conn.Close()
			return t.callOnClosed
		}
		conn.Prepend(up.Head)
		conn.Compress(hs.Deflate)
		run := t.run
		rescue.Do(func() error {
			t.begin(x)
			return nil
		}, func(err error) {
			if err != nil {
				t.session, run = x.session, func() {}
				t.readEnded(t.turn.number, err)
			}
		})
		return run
	})
	if err != nil {
		e.refuseUpgrade(x, err)
	}
}

// refuseUpgrade answers when the connection cannot be taken over (EIO-VF-11).
func (e *Server) refuseUpgrade(x *httpExchange, err error) {
	e.logOnce(&e.upgradeFailed, e.log.Error)("WebSocket upgrade failed: something between the HTTP server and "+
		"sioplug keeps the connection from being taken over (a timeout or compression middleware, or HTTP/2); "+
		"clients stay with polling (further failures are logged at Debug)", slog.Any("err", err))
	e.reportRefusal(x, badRequest("TRANSPORT_HANDSHAKE_ERROR", "error", err))
	respond(x, Response{
		Status: http.StatusInternalServerError,
		Body:   []byte("WebSocket upgrade failed: see the server's log"),
	})
}

// shuttingDown is the answer to whoever wants to open a session when the server
// is closing. The reference goes on accepting polling sessions (EIO-CL-8).
func shuttingDown() Response { return Response{Status: http.StatusServiceUnavailable} }

func handshakeRefused(bad *websocket.HandshakeError) Response {
	h := http.Header{"Connection": {"close"}, "Content-Type": {"text/html"}}
	maps.Copy(h, bad.Header)
	return Response{Status: bad.Status, Header: h, Body: []byte(bad.Message)}
}

// begin opens a session on the connection, or has it try to take over the one that
// there is.
func (t *wsTransport) begin(x *httpExchange) {
	if x.session = t.session; x.session != nil {
		t.beginProbe()
		return
	}
	t.session = x.server.newSession(x)
	t.openSession()
}

// openSession starts a new session on the connection; its open packet leaves together
// with the answer to the handshake.
func (t *wsTransport) openSession() {
	t.active = true
	if t.session.start(t, t.server().openTail.websocket) {
		t.session.callOpened()
	} else {
		t.server().trackClosingConn(t)
	}
	t.session.flush()
}

// readEnded completes what a goroutine has read in the turn of that number. Nothing but
// it ends a connection, for whatever reason.
func (t *wsTransport) readEnded(number uint32, err error) {
	switch {
	case err == websocket.ErrHandedOff: //nolint:errorlint // others may have methods of the application's
		return
	case err == rescue.ErrExited && t.resumeAfterExit(number): //nolint:errorlint // likewise
		return
	}
	s := t.session
	if rescue.Broken(err) {
		s.endAfterPanic(err)
	}
	if !t.active {
		s.forgetProbe(t)
		t.close()
		return
	}
	rescue.Do(func() error { return s.callWorker(noTurn) }, func(failed error) { // what came last
		s.workerReturned(failed)
		t.endSession(err)
		s.unregister()
		t.close()
	})
}

// endSession ends the session of a connection that has ended.
func (t *wsTransport) endSession(err error) {
	s := t.session
	switch err := err.(type) { //nolint:errorlint // as Serve returns them
	case *websocket.ProtocolError:
		s.endWithCode(TransportError, err, endByError, err.Code) // without a text, as in the reference
		t.discardInput()
	case *websocket.CloseError:
		s.end(TransportClose, err, endByCloseFrame)
		t.discardInput() // until the peer has the echo of its close frame
	default:
		s.end(TransportClose, err, endByConnLoss)
	}
}

// close closes the connection, which Shutdown need not wait for any more.
func (t *wsTransport) close() {
	_ = t.conn.Close()
	t.server().untrackClosingConn(t)
	t.callOnClosed()
	t.server().readLoops.Leave()
}

// callOnClosed gives the connection back, closed.
func (t *wsTransport) callOnClosed() {
	if t.onClosed == nil {
		return
	}
	_ = rescue.Apart(func() error { // it is nobody's any more
		t.onClosed()
		return nil
	})
}

// discardInput reads on until the peer has seen the end, where a connection that is
// closed before would be reset.
func (t *wsTransport) discardInput() {
	if c, ok := t.conn.(interface{ Discard() }); ok {
		_ = rescue.Apart(func() error { // the connection may be one of the application's
			c.Discard()
			return nil
		})
	}
}

// Message implements [websocket.Handler].
func (t *wsTransport) Message(binary bool, p []byte) {
	if !t.active {
		t.probeMessage(binary, p)
		return
	}
	s := t.session
	pkt, err := s.dialect.decode(binary, p)
	if err != nil { // EIO-WS-8
		s.end(ParseError, err, endByError)
		return
	}
	s.recv.Lock()
	defer s.recv.Unlock()
	s.receiveLocked(pkt)
}

// Control implements [websocket.Handler].
func (t *wsTransport) Control(f *frame.Frame) {
	if !t.active {
		t.writeAndWait(f)
		return
	}
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	// Nothing may follow our own close frame; and a peer that floods us with
	// pings and does not read gets no more pongs when the queue is full.
	if s.state == stateOpen && s.queue.bytes < s.server.opts.MaxSendBuffer {
		s.queue.push(f)
	}
}

func (t *wsTransport) server() *Server { return t.session.server }

// writeAndWait writes to a connection that carries no session yet, from its read
// loop. A peer that cannot take a few bytes then is of no use.
func (t *wsTransport) writeAndWait(frames ...*frame.Frame) {
	if blocked, err := t.conn.Write(frames); !blocked && err == nil {
		return
	}
	if err := t.conn.Drain(); err != nil {
		_ = t.conn.Close()
	}
}

// unregister removes a session whose connection has ended.
func (s *Session) unregister() {
	s.mu.Lock()
	s.heartbeat.timer.Stop()
	s.mu.Unlock()
	s.server.unregister(s)
}
