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

// A link is a connection on its way to carry a session, or carrying it. It
// implements [websocket.Handler].
type link struct {
	session *Session
	name    string // of the transport
	conn    carrier
	done    func() // tells where the connection came from that it is over; may be nil

	// active: this connection carries the session. It is written by the read
	// loop, under the session's mu, and read by the read loop.
	active bool

	// Of the read loop alone:
	rejected bool // refused to carry the session; the rest of its input is ignored
	stray    bool // the server has noted it, see [Server.addStray]

	// Guarded by the session's mu.
	wait      deadline.Item[*link] // for the upgrade; then, for the work to be done
	answered  bool                 // the answer to the client's probe has been sent, or is about to be
	committed bool                 // the client has sent its upgrade packet
	turn      turn
}

// serveUpgrade answers a WebSocket handshake: for a new session if s is nil,
// otherwise to take over from polling.
func (e *Server) serveUpgrade(x *visit, s *Session) {
	req := x.Request()
	hs, bad := websocket.Check(req.Method, req.Header)
	if bad != nil {
		respond(x, handshakeRefused(bad))
		return
	}
	header := http.Header{}
	hs.Deflate = e.deflate.Accept(req.Header)
	hs.SetHeader(header)
	if e.loops.Closed() {
		respond(x, shuttingDown())
		return
	}
	err := x.Upgrade(header, func(up Upgraded) func() {
		conn := websocket.New(up.Conn, e.opts.MaxHTTPBufferSize, up.Ahead)
		l := &link{session: s, name: WebSocket, conn: conn, done: up.Done, turn: turn{number: 1}}
		if !e.loops.Enter() { // closed since we looked; it is too late for another answer
			_ = conn.Close()
			return l.release
		}
		conn.Prepend(up.Head)
		conn.Compress(hs.Deflate)
		run := l.run
		rescue.Do(func() error {
			l.begin(x)
			return nil
		}, func(err error) {
			if err != nil {
				l.session, run = x.opened, func() {}
				l.ended(l.turn.number, err)
			}
		})
		return run
	})
	if err != nil {
		e.upgradeFailed(x, err)
	}
}

// upgradeFailed answers when the connection cannot be taken over (EIO-VF-11).
func (e *Server) upgradeFailed(x *visit, err error) {
	e.once(&e.cannotUpgrade, e.log.Error)("WebSocket upgrade failed: something between the HTTP server and "+
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
func (l *link) begin(x *visit) {
	if x.opened = l.session; x.opened != nil {
		l.beginProbe()
		return
	}
	l.session = x.server.newSession(x)
	l.open()
}

// open starts a new session on the connection; its open packet leaves together
// with the answer to the handshake.
func (l *link) open() {
	l.active = true
	if l.session.start(l, l.server().hello.websocket) {
		l.session.opened()
	} else {
		l.server().addStray(l)
	}
	l.session.flush()
}

// run reads until the connection ends, and ends the session with it.
func (l *link) run() { l.read(false) }

// ended completes what a goroutine has read in the turn of that number. Nothing but
// it ends a connection, for whatever reason.
func (l *link) ended(number uint32, err error) {
	switch {
	case err == websocket.ErrHandedOff: //nolint:errorlint // others may have methods of the application's
		return
	case err == rescue.ErrExited && l.resume(number): //nolint:errorlint // likewise
		return
	}
	s := l.session
	if rescue.Broken(err) {
		s.fail(err)
	}
	if !l.active {
		s.probeEnded(l)
		l.close()
		return
	}
	rescue.Do(func() error { return s.callWorker(noTurn) }, func(failed error) { // what came last
		s.worked(failed)
		l.part(err)
		s.forgetLink()
		l.close()
	})
}

// part ends the session of a connection that has ended.
func (l *link) part(err error) {
	s := l.session
	switch err := err.(type) { //nolint:errorlint // as Serve returns them
	case *websocket.ProtocolError:
		s.end(TransportError, err, farewell{discard: true, code: err.Code}) // without a text, as in the reference
		l.linger()
	case *websocket.CloseError:
		s.end(TransportClose, err, farewell{silent: true})
		l.linger() // until the peer has the echo of its close frame
	default:
		s.end(TransportClose, err, farewell{discard: true, silent: true})
	}
}

// close closes the connection, which Shutdown need not wait for any more.
func (l *link) close() {
	_ = l.conn.Close()
	l.server().forgetStray(l)
	l.release()
	l.server().loops.Leave()
}

// release gives the connection back, closed.
func (l *link) release() {
	if l.done == nil {
		return
	}
	_ = rescue.Apart(func() error { // it is nobody's any more
		l.done()
		return nil
	})
}

// linger reads on until the peer has seen the end, where a connection that is
// closed before would be reset.
func (l *link) linger() {
	if c, ok := l.conn.(interface{ Discard() }); ok {
		_ = rescue.Apart(func() error { // the connection may be one of the application's
			c.Discard()
			return nil
		})
	}
}

// Message implements [websocket.Handler].
func (l *link) Message(binary bool, p []byte) {
	if !l.active {
		l.probeMessage(binary, p)
		return
	}
	s := l.session
	pkt, err := s.dialect.decode(binary, p)
	if err != nil { // EIO-WS-8
		s.end(ParseError, err, farewell{discard: true})
		return
	}
	s.recv.Lock()
	defer s.recv.Unlock()
	s.receive(pkt)
}

// Control implements [websocket.Handler].
func (l *link) Control(f *frame.Frame) {
	if !l.active {
		l.writeNow(f)
		return
	}
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	// Nothing may follow our own close frame; and a peer that floods us with
	// pings and does not read gets no more pongs when the queue is full.
	if s.state == stateOpen && s.out.bytes < s.server.opts.MaxSendBuffer {
		s.out.push(f)
	}
}

func (l *link) server() *Server { return l.session.server }

// writeNow writes to a connection that carries no session yet, from its read
// loop. A peer that cannot take a few bytes then is of no use.
func (l *link) writeNow(frames ...*frame.Frame) {
	if blocked, err := l.conn.Write(frames); !blocked && err == nil {
		return
	}
	if err := l.conn.Drain(); err != nil {
		_ = l.conn.Close()
	}
}

// forgetLink removes a session whose connection has ended.
func (s *Session) forgetLink() {
	s.mu.Lock()
	s.beat.item.Stop()
	s.mu.Unlock()
	s.server.forget(s)
}
