package engine

import (
	"log/slog"
	"maps"
	"net/http"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/stack"
	"github.com/sioplug/sioplug/internal/websocket"
)

// A wsTransport is a WebSocket that carries a session, or probes to take it over from
// polling. It implements [websocket.Handler].
type wsTransport struct {
	session  *Session
	conn     *websocket.Conn
	onClosed func() // [Upgraded].Done, may be nil

	// active: this WebSocket carries the session. Only the read loop writes it, under
	// the session's mu, and only the read loop reads it.
	active bool

	// Fields of the read loop:
	rejected UpgradeFailure // why it may not carry the session; the rest of its input is ignored
	tracked  bool           // in Server.closingConns
	upgrades bool           // it is, or was, for an upgrade

	// Guarded by the session's mu:
	timer         deadline.Item[*wsTransport] // first for the upgrade, then for the turn
	probeAnswered bool                        // the answer to the client's probe is sent, or about to be
	noopSent      bool                        // a poll was ended with a noop for it
	committed     bool                        // the client has sent its upgrade packet
	timedOut      bool                        // the upgrade took too long
	sessionEnded  bool                        // and with it the upgrade
	turn          readTurn
}

// serveUpgrade answers a WebSocket handshake: for a new session if s is nil,
// otherwise to take over from polling.
func (e *Server) serveUpgrade(x *httpExchange, s *Session) {
	stack.Grow()
	req := x.Request()
	hs, bad := websocket.Check(req.Method, req.Header)
	if bad != nil {
		e.observeRefused(x, RequestRefusedInfo{Code: CodeNone, Name: "WEBSOCKET_HANDSHAKE", Status: bad.Status, Err: bad})
		s.observeUpgradeFailed(UpgradeInvalidHandshake)
		respond(x, handshakeRefused(bad))
		return
	}
	header := http.Header{}
	hs.Deflate = e.deflate.Accept(req.Header)
	hs.SetHeader(header)
	if e.readLoops.Closed() {
		s.observeUpgradeFailed(UpgradeShuttingDown)
		e.refuse(x, shuttingDown())
		return
	}
	err := x.Upgrade(header, func(up Upgraded) func() {
		conn := websocket.New(up.Conn, e.opts.MaxHTTPBufferSize, up.Ahead)
		t := &wsTransport{session: s, conn: conn, onClosed: up.Done, turn: readTurn{number: 1}}
		if !e.readLoops.Enter() { // closed since the check above; it is too late for another answer
			_ = conn.Close()
			return t.callOnClosed
		}
		conn.ParkIn(e.lot)
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
		s.observeUpgradeFailed(UpgradeNotSupported)
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

func handshakeRefused(bad *websocket.HandshakeError) Response {
	h := http.Header{"Connection": {"close"}, "Content-Type": {"text/html"}}
	maps.Copy(h, bad.Header)
	return Response{Status: bad.Status, Header: h, Body: []byte(bad.Message)}
}

// begin opens a session on the WebSocket, or begins to probe for the one that exists.
func (t *wsTransport) begin(x *httpExchange) {
	if x.session = t.session; x.session != nil {
		t.upgrades = true
		t.beginProbe()
		return
	}
	t.session = x.server.newSession(x)
	t.openSession()
}

// openSession starts a new session. Its open packet leaves together with the answer to
// the handshake.
func (t *wsTransport) openSession() {
	t.active = true
	if t.session.start(t, t.server().openTail.websocket) {
		t.session.callOpened()
	} else {
		t.server().trackClosingConn(t)
	}
	t.session.flush()
}

// readEnded is called with the result of a goroutine that read in the turn of that
// number. All connections end here.
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
		t.observeFailure()
		return
	}
	rescue.Do(func() error { return s.callWorker(noTurn) }, func(failed error) { // for the last messages
		s.workerReturned(failed)
		t.endSession(err)
		s.unregister()
		t.close()
	})
}

// endSession ends the session with the error of the read loop.
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

// close closes the connection. Shutdown does not wait for it any more.
func (t *wsTransport) close() {
	_ = t.conn.Close()
	t.server().untrackClosingConn(t)
	t.callOnClosed()
	t.server().readLoops.Leave()
}

// callOnClosed tells the HTTP server that the connection is closed.
func (t *wsTransport) callOnClosed() {
	if t.onClosed == nil {
		return
	}
	_ = rescue.Apart(func() error { // if it fails, there is nothing left to do
		t.onClosed()
		return nil
	})
}

// discardInput reads until the peer closes. If the connection were closed with unread
// input, the peer would see a reset instead of the close frame.
func (t *wsTransport) discardInput() {
	_ = rescue.Apart(func() error { // the net.Conn may be the application's
		t.conn.Discard()
		return nil
	})
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
	// Nothing may follow our own close frame. A peer that floods us with pings and
	// does not read gets no more pongs when the queue is full.
	if s.state == stateOpen && s.queue.bytes < s.server.opts.MaxSendBuffer {
		s.queue.push(f)
	}
}

func (t *wsTransport) server() *Server { return t.session.server }

// writeAndWait writes to a WebSocket that carries no session yet, from its read loop.
func (t *wsTransport) writeAndWait(frames ...*frame.Frame) {
	if blocked, err := t.conn.Write(frames); !blocked && err == nil {
		return
	}
	if err := t.conn.Drain(); err != nil {
		_ = t.conn.Close()
	}
}

// unregister removes a session whose WebSocket has ended.
func (s *Session) unregister() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heartbeat.timer.Stop()
	s.forgetLocked()
}
