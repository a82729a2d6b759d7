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

// Packets without content are the same for everyone.
//
//nolint:gochecknoglobals // immutable
var (
	closePacket = textPacket("1")
	pingPacket  = textPacket("2")
	pongPacket  = textPacket("3")
	probePong   = textPacket("3probe")
	noopPacket  = textPacket("6")
)

func textPacket(s string) *frame.Frame {
	return frame.Text(append(frame.Buffer(len(s)), s...))
}

// A Session is one Engine.IO connection: a client as the transport layer sees
// it, whichever transport carries it at the moment. Its methods are safe for
// concurrent use and do not block.
type Session struct {
	id      string
	opening opening
	values  context.Context //nolint:containedctx // the handshake's values live as long as the session
	handler Handler

	recv sync.Mutex // held while packets are handed to the handler, one batch at a time

	// What a delivery needs is together, from here to link: of thousands of
	// sessions, none is in a processor's cache when its turn comes.

	server  *Server
	shard   uint32 // which flush worker writes, and which list its turns are in
	dialect dialect

	// pinged is set while a pong is awaited. It is written under mu, and read
	// without it to leave packets alone that come at other times.
	pinged atomic.Bool

	mu     sync.Mutex
	state  state
	counts bool  // among the server's clients
	parted bool  // the client has closed it: see awaitOvertaken
	posts  uint8 // POSTs that were read and wait to be handled
	out    outbox
	link   *link // the connection that carries the session; nil: polling
	probe  *link // a connection that may take over
	poll   *poll // the parked GET
	beat   heartbeat

	posting *visit        // a POST that is being read
	answers *visit        // answers to polls that have not left yet
	begun   time.Duration // when the session was opened, since the server's epoch
}

type state uint8

const (
	stateOpen   state = iota
	stateLeft         // closed; the polling client has not polled since
	stateClosed       // nothing more is sent, except what is queued
)

// worker returns the handler if it is a [Worker], nil otherwise.
func (s *Session) worker() Worker {
	w, _ := s.handler.(Worker)
	return w
}

// age is how long ago the session was opened.
func (s *Session) age() time.Duration { return time.Since(s.server.epoch) - s.begun }

// ID returns the session id, a secret of the client: whoever knows it can send
// in its name.
func (s *Session) ID() string { return s.id }

// Request returns the request that opened the session, without its body. It must
// not be changed.
func (s *Session) Request() *Request { return s.opening.request() }

// ClientIP returns the ClientIP of [Session.Request], and allocates nothing.
func (s *Session) ClientIP() string { return s.opening.clientIP() }

// Values returns a context with the values of the request that opened the
// session. It is never canceled.
func (s *Session) Values() context.Context { return context.WithoutCancel(s.values) }

// Transport returns the name of the transport in use, [Polling] or [WebSocket].
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil {
		return s.link.name
	}
	return Polling
}

// start opens the session on its first transport, nil for polling: from here
// on the client can be heard. It reports false if the server is closing.
func (s *Session) start(l *link, tail []byte) bool {
	s.link = l
	s.handler = s.server.open(s)
	s.mu.Lock()
	hi := s.server.hi(s.id, tail)
	s.out.push(hi)
	if g := s.server.greeting; g != nil { // EIO-HS-7
		s.out.push(s.dialect.greet(g)...)
	}
	if s.dialect.has(revision3) {
		s.awaitPing()
	} else {
		s.server.pings.Set(&s.beat.item, s)
	}
	s.mu.Unlock()
	if s.server.register(s) {
		s.count()
		return true
	}
	s.end(ForcedClose, nil, farewell{discard: true, silent: true})
	return false
}

// count adds the session to the server's clients, unless it has ended already.
func (s *Session) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen {
		s.counts = true
		s.server.clients.Add(1)
	}
}

// opened tells the handler, if it wants to know, that the open packet is on its
// way.
func (s *Session) opened() {
	if o, ok := s.handler.(Opener); ok {
		o.Opened()
	}
}

// A farewell says how a session takes leave of its client.
type farewell struct {
	discard bool   // drop what is still queued
	silent  bool   // the connection has ended: nobody listens
	final   bool   // the server goes away: there will be no other poll
	noop    bool   // the client closed: its parked poll is answered with a noop
	code    uint16 // WebSocket close code, 0 for none
}

// Close ends the session from the server's side; err, which may be nil, goes to
// [Handler.Close]. What was sent before is delivered first; later sends fail.
// It may be called again.
func (s *Session) Close(err error) { s.end(ForcedClose, err, farewell{}) }

// end is the only way for a session to end; the first call wins.
func (s *Session) end(reason Reason, err error, bye farewell) {
	s.mu.Lock()
	if s.state != stateOpen {
		if s.state == stateLeft && (bye.discard || bye.final) {
			s.leave(bye)
		}
		s.mu.Unlock()
		s.dropProbe()
		return
	}
	if s.counts {
		s.server.clients.Add(-1)
	}
	if bye.discard {
		s.out.drop()
	}
	s.out.shrunk() // there is nothing to wait for
	s.pinged.Store(false)
	s.server.farewells.Set(&s.beat.item, s)
	s.leave(bye)
	s.limitAnswers(closeTimeout)
	s.cancelPost()
	s.mu.Unlock()

	s.dropProbe()
	s.tellEnd(reason, err)
	s.flush()
}

// tellEnd tells the handler of the end.
func (s *Session) tellEnd(reason Reason, why error) {
	err := rescue.Apart(func() error {
		s.handler.Close(reason, why)
		return nil
	})
	if err != nil {
		s.server.logError("closing a session failed", err)
	}
}

// fail ends the session after a panic in what runs for it, or the end of the
// goroutine.
func (s *Session) fail(err error) {
	s.server.logError("panic while handling what a client sent", err, slog.String("address", s.ClientIP()))
	s.end(TransportError, err, farewell{discard: true})
}

// leave tells the client in the way its transport has, or notes that it has to
// be told.
func (s *Session) leave(bye farewell) {
	switch {
	case s.link != nil:
		s.state = stateClosed
		if !bye.silent {
			s.out.push(frame.Close(bye.code, ""))
		}
	case s.poll != nil && len(s.out.frames) > 0 && !bye.noop && !bye.final:
		// EIO-CL-4: the client learns of the end with its next poll. Told
		// together with the last messages, the official client ends first
		// and handles them afterwards.
		s.answer(s.out.take())
		s.state = stateLeft
	case s.poll != nil:
		last, b := closePacket, s.out.take()
		if bye.noop {
			last = noopPacket
		}
		b.frames = append(b.frames, last)
		s.answer(b)
		s.gone()
	case bye.noop:
		s.state, s.parted = stateLeft, true
		s.out.drop()
	case bye.final && s.probe != nil && s.probe.answered:
		// The client has stopped polling and is about to take over: without
		// that it would learn of the end from its own ping timeout.
		s.state = stateLeft
		s.server.partings.Set(&s.beat.item, s)
	case bye.discard || bye.silent || bye.final:
		s.gone()
	default:
		s.state = stateLeft
	}
}

// gone removes a polling session for good.
func (s *Session) gone() {
	s.state = stateClosed
	s.cancelPost()
	s.beat.item.Stop()
	s.server.forget(s)
}

// dropProbe closes the connection that wants to take over a session that is
// gone. One that is still to be fetched by its client may be taken over, and
// what is queued goes with it (EIO-UP-10, EIO-UP-11).
func (s *Session) dropProbe() {
	s.mu.Lock()
	probe := s.probe
	if s.state == stateClosed || s.parted {
		s.probe = nil
	} else {
		probe = nil
	}
	s.mu.Unlock()
	if probe != nil {
		_ = probe.conn.Close()
	}
}

// cut ends what is left of a closed session, when its client had time enough
// to take leave.
func (s *Session) cut() {
	s.mu.Lock()
	l := s.link
	s.limitAnswers(0)
	if l == nil && s.state == stateLeft {
		s.gone()
	}
	s.mu.Unlock()
	s.dropProbe()
	if l != nil {
		_ = l.conn.Close()
	}
}

// receive handles one packet; recv is held. It reports whether the session
// goes on.
func (s *Session) receive(p payload.Packet) bool {
	if !s.isOpen() {
		return false
	}
	s.heard(p.Type == payload.Pong)
	switch p.Type {
	case payload.Message:
		s.handler.Message(p.Binary, p.Data)
	case payload.Ping:
		if !s.dialect.has(revision3) { // EIO-POST-11, EIO-WS-9: in revision 4 the server pings
			s.end(TransportError, errHeartbeat, farewell{discard: true})
			return false
		}
		s.answerPing()
	case payload.Pong:
		if s.dialect.has(revision3) { // EIO-HB-22
			s.end(TransportError, errHeartbeat, farewell{discard: true})
			return false
		}
	case payload.Close:
		// EIO-WS-15: over WebSocket the reference ignores it and waits for
		// the timeout; the client has said goodbye either way.
		s.end(TransportClose, nil, farewell{noop: true})
		return false
	case payload.Open, payload.Upgrade, payload.Noop: // EIO-POST-13
	}
	return true
}

// exists reports whether requests may still refer to the session. One whose
// time has run out does not, even if the timer is late.
func (s *Session) exists() bool {
	if s.dialect.has(revision3) {
		s.pingOverdue()
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
