package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
)

// A Session is one Engine.IO connection: a client as the transport layer sees
// it, whichever transport carries it at the moment. Its methods are safe for
// concurrent use. Only [Session.WaitForRoom] and [Session.Flush] block.
type Session struct {
	id        string
	handshake handshakeRequest
	values    context.Context //nolint:containedctx // the handshake's values live as long as the session
	handler   Handler

	recv sync.Mutex // held while packets are handed to the handler, one batch at a time

	// The fields that a delivery needs stand together, from here to ws. Of thousands
	// of sessions, none is in a processor's cache when a broadcast comes to it.

	server  *Server
	shard   uint32 // selects the flush worker and the list of turn timers
	dialect dialect

	// awaitingPong is written under mu. It is read without mu, so that packets that
	// come at other times cost nothing.
	awaitingPong atomic.Bool

	mu           sync.Mutex
	state        state
	counted      bool  // in Server.clients
	pendingPosts uint8 // POSTs that were read and wait for handlers
	queue        sendQueue
	ws           *wsTransport // the WebSocket that carries the session; nil: polling
	probe        *wsTransport // a WebSocket that wants to take over from polling
	poll         *poll        // the parked GET
	heartbeat    heartbeat

	readingPost   *httpExchange // the POST whose body is being read
	unsentAnswers *httpExchange // polls whose answers have not left yet
	openedAt      time.Duration // since the server's epoch
	traffic       traffic
	forgotten     bool // the server has the traffic already
}

// worker returns the handler if it is a [Worker], nil otherwise.
func (s *Session) worker() Worker {
	w, _ := s.handler.(Worker)
	return w
}

// age is how long ago the session was opened.
func (s *Session) age() time.Duration { return time.Since(s.server.epoch) - s.openedAt }

// ID returns the session id. It is a secret of the client: with it, anybody can send
// in the client's name.
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
	return s.transportLocked()
}

func (s *Session) transportLocked() string {
	if s.ws != nil {
		return WebSocket
	}
	return Polling
}

// start makes the handler, queues the open packet, and registers the session: from
// here on the client can be heard. t is the first transport, nil for polling. start
// reports false if the server is closing; then the session has ended.
func (s *Session) start(t *wsTransport, openTail []byte) bool {
	s.ws = t
	s.handler = s.server.newHandler(s)
	s.mu.Lock()
	s.queue.push(s.server.openPacket(s.id, openTail))
	if f := s.server.initialPacket; f != nil { // EIO-HS-7
		s.queue.push(s.dialect.translate([]*frame.Frame{f})...)
	}
	if s.dialect.has(revision3) {
		s.awaitClientPingLocked()
	} else {
		s.server.pingTimers.Set(&s.heartbeat.timer, s)
	}
	transport := s.transportLocked()
	s.mu.Unlock()
	s.observeOpened(transport)
	if s.server.register(s) {
		s.countClient()
		return true
	}
	s.end(ForcedClose, nil, endByConnLoss)
	return false
}

// countClient adds the session to the server's clients, unless it has ended already.
func (s *Session) countClient() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen {
		s.counted = true
		s.server.clients.Add(1)
		if s.ws != nil {
			s.server.webSockets.Add(1)
		}
	}
}

// callOpened calls [Opener.Opened], if the handler has it.
func (s *Session) callOpened() {
	if o, ok := s.handler.(Opener); ok {
		o.Opened()
	}
}

// receiveLocked handles one packet. The caller holds recv. It reports whether the
// session goes on.
func (s *Session) receiveLocked(p payload.Packet) bool {
	if !s.countReceived(p) {
		return false
	}
	s.packetReceived(p.Type == payload.Pong)
	switch p.Type {
	case payload.Message:
		s.handler.Message(p.Binary, p.Data)
	case payload.Ping:
		if !s.dialect.has(revision3) { // EIO-POST-11, EIO-WS-9: in revision 4 the server pings
			s.end(TransportError, errHeartbeat, endByError)
			return false
		}
		s.answerClientPing()
	case payload.Pong:
		if s.dialect.has(revision3) { // EIO-HB-22
			s.end(TransportError, errHeartbeat, endByError)
			return false
		}
	case payload.Close:
		// EIO-WS-15: over WebSocket the reference ignores the packet and waits for
		// the ping timeout. Here the client has closed the session either way.
		s.end(TransportClose, nil, endByClient)
		return false
	case payload.Open, payload.Upgrade, payload.Noop: // EIO-POST-13
	}
	return true
}

// exists reports whether requests may still refer to the session. After its heartbeat
// has timed out they may not, even if the timer is late.
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
