package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A Session is one Engine.IO connection: a client as the transport layer sees
// it, whichever transport carries it at the moment. Its methods are safe for
// concurrent use and do not block.
type Session struct {
	id        string
	handshake handshakeRequest
	values    context.Context //nolint:containedctx // the handshake's values live as long as the session
	handler   Handler

	recv sync.Mutex // held while packets are handed to the handler, one batch at a time

	// What a delivery needs is together, from here to link: of thousands of
	// sessions, none is in a processor's cache when its turn comes.

	server  *Server
	shard   uint32 // which flush worker writes, and which list its turns are in
	dialect dialect

	// awaitingPong is set while a pong is awaited. It is written under mu, and read
	// without it to leave packets alone that come at other times.
	awaitingPong atomic.Bool

	mu           sync.Mutex
	state        state
	counted      bool  // among the server's clients
	clientClosed bool  // the client has closed it: see awaitOvertakenPoll
	pendingPosts uint8 // POSTs that were read and wait to be handled
	queue        sendQueue
	ws           *wsTransport // the connection that carries the session; nil: polling
	probe        *wsTransport // a connection that may take over
	poll         *poll        // the parked GET
	heartbeat    heartbeat

	readingPost   *httpExchange // a POST that is being read
	unsentAnswers *httpExchange // answers to polls that have not left yet
	openedAt      time.Duration // when the session was opened, since the server's epoch
}

type state uint8

const (
	stateOpen    state = iota
	stateClosing       // closed; the polling client has not polled since
	stateClosed        // nothing more is sent, except what is queued
)

// worker returns the handler if it is a [Worker], nil otherwise.
func (s *Session) worker() Worker {
	w, _ := s.handler.(Worker)
	return w
}

// age is how long ago the session was opened.
func (s *Session) age() time.Duration { return time.Since(s.server.epoch) - s.openedAt }

// ID returns the session id, a secret of the client: whoever knows it can send
// in its name.
func (s *Session) ID() string { return s.id }

// Request returns the request that opened the session, without its body. It must
// not be changed.
func (s *Session) Request() *Request { return s.handshake.request() }

// ClientIP returns the ClientIP of [Session.Request], and allocates nothing.
func (s *Session) ClientIP() string { return s.handshake.clientIP() }

// Values returns a context with the values of the request that opened the
// session. It is never canceled.
func (s *Session) Values() context.Context { return context.WithoutCancel(s.values) }

// Transport returns the name of the transport in use, [Polling] or [WebSocket].
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws != nil {
		return s.ws.name
	}
	return Polling
}

// start opens the session on its first transport, nil for polling: from here
// on the client can be heard. It reports false if the server is closing.
func (s *Session) start(t *wsTransport, openTail []byte) bool {
	s.ws = t
	s.handler = s.server.newHandler(s)
	s.mu.Lock()
	open := s.server.openPacket(s.id, openTail)
	s.queue.push(open)
	if g := s.server.initialPacket; g != nil { // EIO-HS-7
		s.queue.push(s.dialect.translate([]*frame.Frame{g})...)
	}
	if s.dialect.has(revision3) {
		s.awaitClientPingLocked()
	} else {
		s.server.pingTimers.Set(&s.heartbeat.timer, s)
	}
	s.mu.Unlock()
	if s.server.register(s) {
		s.countClient()
		return true
	}
	s.end(ForcedClose, nil, closeOptions{discard: true, connEnded: true})
	return false
}

// countClient adds the session to the server's clients, unless it has ended already.
func (s *Session) countClient() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen {
		s.counted = true
		s.server.clients.Add(1)
	}
}

// callOpened tells the handler, if it wants to know, that the open packet is on its
// way.
func (s *Session) callOpened() {
	if o, ok := s.handler.(Opener); ok {
		o.Opened()
	}
}

// A closeOptions says how a session takes leave of its client.
type closeOptions struct {
	discard   bool   // drop what is still queued
	connEnded bool   // the connection has ended: nobody listens
	shutdown  bool   // the server goes away: there will be no other poll
	byClient  bool   // the client closed: its parked poll is answered with a noop
	code      uint16 // WebSocket close code, 0 for none
}

// Close ends the session from the server's side; err, which may be nil, goes to
// [Handler.Close]. What was sent before is delivered first; later sends fail.
// It may be called again.
func (s *Session) Close(err error) { s.end(ForcedClose, err, closeOptions{}) }

// end is the only way for a session to end; the first call wins.
func (s *Session) end(reason Reason, err error, opts closeOptions) {
	s.mu.Lock()
	if s.state != stateOpen {
		if s.state == stateClosing && (opts.discard || opts.shutdown) {
			s.closeTransportLocked(opts)
		}
		s.mu.Unlock()
		s.closeStaleProbe()
		return
	}
	if s.counted {
		s.server.clients.Add(-1)
	}
	if opts.discard {
		s.queue.discard()
	}
	s.queue.signalFreed() // there is nothing to wait for
	s.awaitingPong.Store(false)
	s.server.closeTimers.Set(&s.heartbeat.timer, s)
	s.closeTransportLocked(opts)
	s.limitAnswersLocked(closeTimeout)
	s.cancelPostLocked()
	s.mu.Unlock()

	s.closeStaleProbe()
	s.callClose(reason, err)
	s.flush()
}

// callClose tells the handler of the end.
func (s *Session) callClose(reason Reason, why error) {
	err := rescue.Apart(func() error {
		s.handler.Close(reason, why)
		return nil
	})
	if err != nil {
		s.server.logError("closing a session failed", err)
	}
}

// endAfterPanic ends the session after a panic in what runs for it, or the end of the
// goroutine.
func (s *Session) endAfterPanic(err error) {
	s.server.logError("panic while handling what a client sent", err, slog.String("address", s.ClientIP()))
	s.end(TransportError, err, closeOptions{discard: true})
}

// closeTransportLocked tells the client in the way its transport has, or notes that it has to
// be told.
func (s *Session) closeTransportLocked(opts closeOptions) {
	switch {
	case s.ws != nil:
		s.state = stateClosed
		if !opts.connEnded {
			s.queue.push(frame.Close(opts.code, ""))
		}
	case s.poll != nil && len(s.queue.frames) > 0 && !opts.byClient && !opts.shutdown:
		// EIO-CL-4: the client learns of the end with its next poll. Told
		// together with the last messages, the official client ends first
		// and handles them afterwards.
		s.answerLocked(s.queue.takeAll())
		s.state = stateClosing
	case s.poll != nil:
		last, b := closePacket, s.queue.takeAll()
		if opts.byClient {
			last = noopPacket
		}
		b.frames = append(b.frames, last)
		s.answerLocked(b)
		s.removeLocked()
	case opts.byClient:
		s.state, s.clientClosed = stateClosing, true
		s.queue.discard()
	case opts.shutdown && s.probe != nil && s.probe.probeAnswered:
		// The client has stopped polling and is about to take over: without
		// that it would learn of the end from its own ping timeout.
		s.state = stateClosing
		s.server.upgradingCloseTimers.Set(&s.heartbeat.timer, s)
	case opts.discard || opts.connEnded || opts.shutdown:
		s.removeLocked()
	default:
		s.state = stateClosing
	}
}

// removeLocked removes a polling session for good.
func (s *Session) removeLocked() {
	s.state = stateClosed
	s.cancelPostLocked()
	s.heartbeat.timer.Stop()
	s.server.unregister(s)
}

// closeStaleProbe closes the connection that wants to take over a session that is
// gone. One that is still to be fetched by its client may be taken over, and
// what is queued goes with it (EIO-UP-10, EIO-UP-11).
func (s *Session) closeStaleProbe() {
	s.mu.Lock()
	probe := s.probe
	if s.state == stateClosed || s.clientClosed {
		s.probe = nil
	} else {
		probe = nil
	}
	s.mu.Unlock()
	if probe != nil {
		_ = probe.conn.Close()
	}
}

// closeTimedOut ends what is left of a closed session, when its client had time enough
// to take leave.
func (s *Session) closeTimedOut() {
	s.mu.Lock()
	t := s.ws
	s.limitAnswersLocked(0)
	if t == nil && s.state == stateClosing {
		s.removeLocked()
	}
	s.mu.Unlock()
	s.closeStaleProbe()
	if t != nil {
		_ = t.conn.Close()
	}
}

// receiveLocked handles one packet; recv is held. It reports whether the session
// goes on.
func (s *Session) receiveLocked(p payload.Packet) bool {
	if !s.isOpen() {
		return false
	}
	s.packetReceived(p.Type == payload.Pong)
	switch p.Type {
	case payload.Message:
		s.handler.Message(p.Binary, p.Data)
	case payload.Ping:
		if !s.dialect.has(revision3) { // EIO-POST-11, EIO-WS-9: in revision 4 the server pings
			s.end(TransportError, errHeartbeat, closeOptions{discard: true})
			return false
		}
		s.answerClientPing()
	case payload.Pong:
		if s.dialect.has(revision3) { // EIO-HB-22
			s.end(TransportError, errHeartbeat, closeOptions{discard: true})
			return false
		}
	case payload.Close:
		// EIO-WS-15: over WebSocket the reference ignores it and waits for
		// the timeout; the client has said goodbye either way.
		s.end(TransportClose, nil, closeOptions{byClient: true})
		return false
	case payload.Open, payload.Upgrade, payload.Noop: // EIO-POST-13
	}
	return true
}

// exists reports whether requests may still refer to the session. One whose
// time has run out does not, even if the timer is late.
func (s *Session) exists() bool {
	if s.dialect.has(revision3) {
		s.clientPingOverdue()
	} else {
		s.pongOverdue()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state != stateClosed
}

func (s *Session) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateOpen
}
