package engine

import (
	"github.com/sioplug/sioplug/internal/frame"
)

// The upgrade from polling to a connection of the session's own (EIO section
// 11): the client probes with "2probe" and is answered "3probe" on the new
// connection, its polls are ended with noops, and with "5" the session moves.
// Until then messages go on over polling, in both directions; the queue
// belongs to the session and not to a transport, so none is lost or overtaken.

// beginProbe lets the connection try to take over. A session takes one at a
// time; another one is closed without harm to the first (EIO-UP-9).
func (l *link) beginProbe() {
	s := l.session
	s.mu.Lock()
	ok := s.state != stateClosed && s.link == nil && s.probe == nil && !s.server.opts.DisableUpgrades
	if ok {
		s.probe = l
		s.server.upgrades.Set(&l.wait, l)
	}
	s.mu.Unlock()
	l.writeNow() // the answer to the handshake
	if !ok {
		l.reject()
	}
}

// reject closes a connection that carries no session.
func (l *link) reject() {
	l.rejected = true
	l.writeNow(frame.Close(0, ""))
	l.conn.CloseWithin(closeTimeout)
	l.server().addStray(l)
}

// probeMessage handles what comes on a connection that does not carry the
// session yet.
func (l *link) probeMessage(binary bool, p []byte) {
	switch {
	case l.rejected:
	case !binary && string(p) == "2probe":
		l.answerProbe()
	case !binary && string(p) == "5": // EIO-UP-4: also without a probe
		l.takeOver()
	default: // EIO-UP-6
		l.session.probeEnded(l)
		l.reject()
	}
}

func (l *link) answerProbe() {
	s := l.session
	s.mu.Lock()
	current, first := s.probe == l, !l.answered
	l.answered = l.answered || current
	s.mu.Unlock()
	if !current {
		return
	}
	l.writeNow(probePong)
	s.mu.Lock()
	defer s.mu.Unlock()
	if first && s.probe == l {
		s.probed()
	}
}

// takeOver moves the session to the connection.
func (l *link) takeOver() {
	s := l.session
	l.commit()
	s.recv.Lock() // a POST that is being handled goes first
	defer s.recv.Unlock()
	s.mu.Lock()
	if s.probe != l {
		s.mu.Unlock()
		l.reject()
		return
	}
	l.wait.Stop()
	l.active = true
	s.probe, s.link = nil, l
	if s.state == stateLeft { // EIO-UP-11
		s.state = stateClosed
		s.out.push(frame.Close(0, ""))
	} else if s.pinged.Swap(false) { // EIO-UP-13
		s.rest()
	}
	s.mu.Unlock()
	s.flush()
}

// commit ends polling: from here on, polls are refused. One that was parked before
// the answer to the probe gets a noop (EIO-UP-12): the reference answers with a
// close packet, which a client that did not wait for its poll could take for the
// end. A later one was sent by a client that had upgraded.
func (l *link) commit() {
	s := l.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe != l {
		return
	}
	l.committed = true
	switch p := s.poll; {
	case p == nil:
	case p.late:
		s.answer(batch{moved: true})
	default:
		s.answer(noop())
	}
}

// probeEnded forgets a connection that did not take over; polling goes on
// (EIO-UP-7).
func (s *Session) probeEnded(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.wait.Stop()
	if s.probe == l {
		s.probe = nil
	}
}

// abandon closes a connection whose client did not finish the upgrade in time
// (EIO-UP-8).
func (l *link) abandon() {
	s := l.session
	s.mu.Lock()
	late := s.probe == l
	s.mu.Unlock()
	if late {
		_ = l.conn.Close()
	}
}
