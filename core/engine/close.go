package engine

import (
	"log/slog"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A state is how far a session has come. It only goes forward.
type state uint8

const (
	// stateOpen: packets go in both directions.
	stateOpen state = iota

	// stateClosing: the server has closed a polling session, and the client does
	// not know it yet. Its polls get what is queued, then a noop and a close
	// packet.
	stateClosing

	// stateDrained: the server drains, and a polling client does not know it yet. Its
	// polls get what is queued, and then status 503.
	stateDrained

	// stateClientClosed: a polling client has closed the session with a POST that
	// is not answered yet. It may have sent a poll before, which gets a noop. See
	// [Session.awaitOvertakenPoll].
	stateClientClosed

	// stateClosed: nothing more is sent, except what a WebSocket has queued.
	stateClosed
)

// closing reports whether a polling session has ended and its requests are still
// answered.
func (s state) closing() bool {
	return s == stateClosing || s == stateDrained || s == stateClientClosed
}

// upgradable reports whether an upgrade may begin or end: there are packets to send.
func (s state) upgradable() bool {
	return s == stateOpen || s == stateClosing || s == stateDrained
}

// An ending says who ends a session, and how. It decides what the client is sent, the
// next state, and when the server forgets the session. "Queue" is what was sent and has
// not left yet.
//
// WebSocket. The next state is stateClosed. The server forgets the session when the
// connection is closed, after closeTimeout at the latest.
//
//	ending                                  sent
//	endByServer, endByDrain                 queue, close frame
//	endByShutdown, endByClient              queue, close frame
//	endByError                              close frame
//	endByCloseFrame                         queue, with the echo of the close frame
//	endByConnLoss                           nothing
//
// Polling with a parked poll.
//
//	ending                    sent                next state, forgotten
//	endByServer, empty queue  close packet        stateClosed, at once
//	endByServer               queue (see below)   stateClosing, see next table
//	endByDrain, empty queue   status 503          stateClosed, at once
//	endByDrain                queue               stateDrained, see next table
//	endByShutdown             queue, close packet stateClosed, at once
//	endByClient               queue, noop         stateClosed, at once
//	endByError                close packet        stateClosed, at once
//
// The official client ends before it handles messages that come together with a close
// packet (EIO-CL-4). So messages are sent first, and the next poll gets the close
// packet. At shutdown there is no next poll. When the server drains, there is no close
// packet, because python-socketio does not come back after one. All clients come back
// after a poll that failed.
//
// Polling without a parked poll.
//
//	ending                    sent                next state, forgotten
//	endByServer               by the next polls:  stateClosing, after the poll that gets
//	                          queue, then noop    the close packet or closeTimeout
//	                          and close packet
//	endByDrain                by the next polls:  stateDrained, after the poll that gets
//	                          queue, status 503   the status, or closeTimeout
//	endByShutdown during an   by the WebSocket:   stateClosing, when the WebSocket is
//	upgrade (probe answered)  queue, close frame  closed or after upgradingCloseTimeout
//	endByShutdown             nothing             stateClosed, at once
//	endByClient               noop, if a poll     stateClientClosed, when the POST is
//	                          was overtaken       answered
//	endByError, endByConnLoss nothing             stateClosed, at once
//
// The first ending counts. Later ones matter only where [state.closing] is true:
// endByError, endByConnLoss and endByShutdown are applied as above, to the queue that
// there is.
type ending uint8

const (
	endByServer     ending = iota // [Session.Close]
	endByDrain                    // [Server.Drain]
	endByShutdown                 // [Server.Shutdown]
	endByClient                   // the client has sent a close packet
	endByError                    // the client broke the protocol or a limit, or is silent
	endByCloseFrame               // the peer has sent a close frame
	endByConnLoss                 // the connection broke, or the client never heard of the session
)

// discards reports whether the queue is dropped.
func (e ending) discards() bool { return e == endByError || e == endByConnLoss }

// overrides reports whether the ending also applies to a session that is closing.
func (e ending) overrides() bool { return e.discards() || e == endByShutdown }

// sendsCloseFrame reports whether a WebSocket client can still read a close frame.
func (e ending) sendsCloseFrame() bool { return e != endByCloseFrame && e != endByConnLoss }

// noCloseCode is for a close frame without a code.
const noCloseCode = 0

// Close ends the session from the server's side; err, which may be nil, goes to
// [Handler.Close]. What was sent before is delivered first; later sends fail.
// It may be called again.
func (s *Session) Close(err error) { s.end(ForcedClose, err, endByServer) }

// end ends the session. Only the first call tells the handler.
func (s *Session) end(reason Reason, err error, how ending) {
	s.endWithCode(reason, err, how, noCloseCode)
}

// endWithCode is end with the code of the WebSocket close frame. There is no other
// way for a session to end.
func (s *Session) endWithCode(reason Reason, err error, how ending, code uint16) {
	s.mu.Lock()
	if s.state != stateOpen {
		if s.state.closing() && how.overrides() {
			s.closeTransportLocked(how, code)
		}
		s.mu.Unlock()
		s.closeStaleProbe()
		return
	}
	if s.counted {
		s.server.clients.Add(-1)
		if s.ws != nil {
			s.server.webSockets.Add(-1)
		}
	}
	transport, slow := s.transportLocked(), 0
	if err == ErrSlowClient { //nolint:errorlint // others may have methods of the application's
		slow = s.queue.bytes
	}
	if how.discards() {
		s.queue.discard()
	}
	s.queue.ended() // nobody needs to wait for space any more
	s.awaitingPong.Store(false)
	s.server.closeTimers.Set(&s.heartbeat.timer, s)
	s.closeTransportLocked(how, code)
	s.limitAnswersLocked(closeTimeout)
	s.cancelPostLocked()
	s.mu.Unlock()

	s.closeStaleProbe()
	s.callClose(reason, err)
	s.observeClosed(transport, reason, err, slow)
	s.flush()
}

// closeTransportLocked applies an ending to the transport: see [ending].
func (s *Session) closeTransportLocked(how ending, code uint16) {
	switch {
	case s.ws != nil:
		s.state = stateClosed
		if how.sendsCloseFrame() {
			s.queue.push(frame.Close(code, ""))
		}
	case s.poll != nil:
		s.closeParkedPollLocked(how)
	default:
		s.closeWithoutPollLocked(how)
	}
}

func (s *Session) closeParkedPollLocked(how ending) {
	a := s.queue.takeAll()
	switch {
	case how == endByDrain && len(a.frames) > 0:
		s.answerLocked(a)
		s.state = stateDrained
		return
	case how == endByDrain:
		a.drained = true
	case how == endByClient:
		a.frames = append(a.frames, noopPacket)
	case how == endByShutdown || len(a.frames) == 0:
		a.frames = append(a.frames, closePacket)
	default:
		s.answerLocked(a)
		s.state = stateClosing
		return
	}
	s.answerLocked(a)
	s.removeLocked()
}

func (s *Session) closeWithoutPollLocked(how ending) {
	switch how {
	case endByServer:
		s.state = stateClosing
	case endByDrain:
		s.state = stateDrained
	case endByClient:
		s.state = stateClientClosed
		s.queue.discard()
	case endByShutdown:
		if s.probe == nil || !s.probe.probeAnswered {
			s.removeLocked()
			return
		}
		s.state = stateClosing
		s.server.upgradingCloseTimers.Set(&s.heartbeat.timer, s)
	case endByError, endByCloseFrame, endByConnLoss:
		s.removeLocked()
	}
}

// removeLocked makes the server forget a polling session.
func (s *Session) removeLocked() {
	s.state = stateClosed
	s.cancelPostLocked()
	s.heartbeat.timer.Stop()
	s.forgetLocked()
}

// callClose calls [Handler.Close].
func (s *Session) callClose(reason Reason, why error) {
	err := rescue.Apart(func() error {
		s.handler.Close(reason, why)
		return nil
	})
	if err != nil {
		s.server.logError("closing a session failed", err)
	}
}

// endAfterPanic ends the session because code that ran for it panicked or ended its
// goroutine.
func (s *Session) endAfterPanic(err error) {
	s.server.logError("panic while handling what a client sent", err, slog.String("address", s.ClientIP()))
	s.end(TransportError, err, endByError)
}

// closeStaleProbe closes the connection that probes for an upgrade, if the session
// is closed. In stateClosing and stateDrained the upgrade goes on: the queue and the close
// frame are sent on the new connection (EIO-UP-10, EIO-UP-11).
func (s *Session) closeStaleProbe() {
	s.mu.Lock()
	probe := s.probe
	if !s.state.upgradable() {
		if probe != nil {
			probe.sessionEnded = true
		}
		s.probe = nil
	} else {
		probe = nil
	}
	s.mu.Unlock()
	if probe != nil {
		_ = probe.conn.Close()
	}
}

// closeTimedOut closes what is left of a session that has ended, when its client had
// enough time to read the rest.
func (s *Session) closeTimedOut() {
	s.mu.Lock()
	t := s.ws
	s.limitAnswersLocked(0)
	if t == nil && s.state.closing() {
		s.removeLocked()
	}
	s.mu.Unlock()
	s.closeStaleProbe()
	if t != nil {
		_ = t.conn.Close()
	}
}
