package engine

import (
	"github.com/sioplug/sioplug/internal/frame"
)

// The upgrade from polling to WebSocket (EIO section 11).
//
//	client                               server
//	opens a WebSocket, sends "2probe"    answers "3probe", and ends the parked poll
//	                                     with a noop
//	stops polling, sends "5"             refuses polls, and sends the queue on the
//	                                     WebSocket
//
// Until "5", messages go over polling in both directions. The queue belongs to the
// session and not to a transport, so no message is lost or overtaken.

// beginProbe lets the WebSocket probe. A session has one probe at a time. Another one
// is closed and does not disturb the first (EIO-UP-9).
func (t *wsTransport) beginProbe() {
	s := t.session
	s.mu.Lock()
	ok := s.state.upgradable() && s.ws == nil && s.probe == nil && !s.server.opts.DisableUpgrades
	if ok {
		s.probe = t
		s.server.upgradeTimers.Set(&t.timer, t)
	}
	s.mu.Unlock()
	t.writeAndWait() // the answer to the handshake
	if !ok {
		t.reject(UpgradeNotPossible)
	}
}

// reject closes a WebSocket that carries no session.
func (t *wsTransport) reject(why UpgradeFailure) {
	t.rejected = why
	t.writeAndWait(frame.Close(noCloseCode, ""))
	t.conn.CloseWithin(closeTimeout)
	t.server().trackClosingConn(t)
}

// probeMessage handles a message on a WebSocket that does not carry the session yet.
func (t *wsTransport) probeMessage(binary bool, p []byte) {
	switch {
	case t.rejected != "":
	case !binary && string(p) == "2probe":
		t.answerProbe()
	case !binary && string(p) == "5": // EIO-UP-4: also without a probe
		t.completeUpgrade()
	default: // EIO-UP-6
		t.session.forgetProbe(t)
		t.reject(UpgradeInvalidPacket)
	}
}

func (t *wsTransport) answerProbe() {
	s := t.session
	s.mu.Lock()
	current, first := s.probe == t, !t.probeAnswered
	t.probeAnswered = t.probeAnswered || current
	s.mu.Unlock()
	if !current {
		return
	}
	t.writeAndWait(probePong)
	s.mu.Lock()
	defer s.mu.Unlock()
	if first && s.probe == t {
		s.endPollForUpgradeLocked()
	}
}

// completeUpgrade moves the session to the WebSocket.
func (t *wsTransport) completeUpgrade() {
	if t.takeOver() {
		t.session.observeUpgraded()
	}
}

// takeOver makes the WebSocket the transport of the session. It reports whether the
// session is open.
func (t *wsTransport) takeOver() (open bool) {
	s := t.session
	t.commitUpgrade()
	s.recv.Lock() // a POST that is being handled goes first
	defer s.recv.Unlock()
	s.mu.Lock()
	if s.probe != t || !s.state.upgradable() {
		s.mu.Unlock()
		t.reject(UpgradeNotPossible)
		return false
	}
	open = s.state == stateOpen
	if s.counted && open {
		s.server.webSockets.Add(1)
	}
	t.timer.Stop()
	t.active = true
	s.probe, s.ws = nil, t
	if s.state != stateOpen { // EIO-UP-11
		s.state = stateClosed
		s.queue.push(frame.Close(noCloseCode, ""))
	} else if s.awaitingPong.Swap(false) { // EIO-UP-13
		s.restartHeartbeatLocked()
	}
	s.mu.Unlock()
	s.flush()
	return open
}

// commitUpgrade ends polling: from here on, polls are refused. A poll that was parked
// before the answer to the probe gets a noop (EIO-UP-12). The reference answers with a
// close packet. A client that did not wait for its poll could take that for the end. A
// poll that came later was sent by a client that had upgraded.
func (t *wsTransport) commitUpgrade() {
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe != t {
		return
	}
	t.committed = true
	switch p := s.poll; {
	case p == nil:
	case p.afterProbe:
		s.answerLocked(pollAnswer{upgraded: true})
	default:
		s.answerLocked(noopAnswer())
	}
}

// forgetProbe forgets a WebSocket that did not take over. Polling goes on (EIO-UP-7).
func (s *Session) forgetProbe(t *wsTransport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.timer.Stop()
	if s.probe == t {
		s.probe = nil
	}
}

// upgradeTimedOut closes a WebSocket whose client did not complete the upgrade in time
// (EIO-UP-8).
func (t *wsTransport) upgradeTimedOut() {
	s := t.session
	s.mu.Lock()
	late := s.probe == t
	t.timedOut = late
	s.mu.Unlock()
	if late {
		_ = t.conn.Close()
	}
}

// observeFailure tells the observer why the WebSocket did not take over. Its connection
// is closed.
func (t *wsTransport) observeFailure() {
	s := t.session
	if !t.upgrades {
		return
	}
	s.mu.Lock()
	why := UpgradeConnectionClosed
	switch {
	case t.sessionEnded:
		why = UpgradeSessionClosed
	case t.timedOut:
		why = UpgradeTimedOut
	case t.rejected != "":
		why = t.rejected
	}
	s.mu.Unlock()
	s.observeUpgradeFailed(why)
}
