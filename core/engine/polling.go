package engine

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
)

// noopDelay is how long a poll stays open while a WebSocket probes: the
// reference's interval (EIO-UP-1).
const noopDelay = 100 * time.Millisecond

// latePollDelay is how long a poll that comes after the answer to a probe has to wait
// before it gets anything. It may have been sent behind the upgrade packet, on
// another connection, and have overtaken that on its way: then its client does not
// look at what it is answered.
const latePollDelay = 20 * time.Millisecond

// statusClientClosedRequest is what nginx has in its log for requests that nobody waits
// for any more. Ours is for the logs and caches around us, which would take no
// answer for 200.
const statusClientClosedRequest = 499

// A poll is a parked GET request. It is answered once, by whoever takes it out
// of its session, under the session's mu: see [Session.answerLocked].
type poll struct {
	exchange   *httpExchange
	answer     chan pollAnswer
	afterProbe bool // it came when its client had been told that it may upgrade
	delayed    bool // it gets nothing yet: see latePollDelay
}

// A pollAnswer is what a poll is answered with.
type pollAnswer struct {
	frames   []*frame.Frame
	size     int  // what they count for in the outbox
	upgraded bool // nothing: another connection has the session
}

func noopAnswer() pollAnswer { return pollAnswer{frames: []*frame.Frame{noopPacket}} }

// answerLocked answers the parked poll; mu is held.
func (s *Session) answerLocked(b pollAnswer) {
	p := s.poll
	s.poll = nil
	s.trackAnswerLocked(p.exchange, b)
	p.answer <- b
}

// trackAnswerLocked notes that a request is about to be answered with b; mu is held.
func (s *Session) trackAnswerLocked(x *httpExchange, b pollAnswer) {
	x.pollSession, x.answerSize, x.nextAnswer = s, b.size, s.unsentAnswers
	s.unsentAnswers = x
}

// answerSent notes that the answer to a poll has left, or never will. Until then it
// counts for the session, and the session's end limits it.
func (x *httpExchange) answerSent() {
	s := x.pollSession
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := &s.unsentAnswers; *p != nil; p = &(*p).nextAnswer {
		if *p == x {
			*p = x.nextAnswer
			s.queue.bytes -= x.answerSize
			s.queue.signalFreed()
			return
		}
	}
}

// limitAnswersLocked has the answers to polls given up that have not left within d; mu
// is held.
func (s *Session) limitAnswersLocked(d time.Duration) {
	for x := s.unsentAnswers; x != nil; x = x.nextAnswer {
		x.sendWithin(d)
	}
}

// openPolling opens a session and answers with the open packet (EIO-HS-6).
func (e *Server) openPolling(x *httpExchange) {
	s := e.newSession(x)
	if !s.start(nil, e.openTail.polling) {
		respond(x, shuttingDown())
		return
	}
	s.mu.Lock()
	b := s.queue.takeAll()
	s.trackAnswerLocked(x, b)
	s.mu.Unlock()
	s.callOpened()
	s.respondPoll(x, b.frames)
}

// servePoll answers a GET with what is queued, or parks it until there is
// something.
func (s *Session) servePoll(ctx context.Context, x *httpExchange) {
	b, parked, ref := s.acceptPoll(x)
	s.closeStaleProbe() // if that was the client's last poll
	switch {
	case ref != nil:
		s.server.refuse(x, ref)
		return
	case parked == nil && b.frames == nil: // EIO-GET-5
		s.end(TransportError, errPollOverlap, endByError)
		respond(x, Response{Status: http.StatusBadRequest})
		return
	case parked != nil:
		x.park()
		var left bool
		if b, left = s.waitForAnswer(ctx, parked); left { // EIO-GET-6
			s.end(TransportError, errPollAborted, endByError)
			x.answerSent()
			respond(x, Response{Status: statusClientClosedRequest})
			return
		}
	}
	if b.upgraded { // EIO-GET-10
		x.answerSent()
		s.server.refuse(x, transportMismatch(Polling, s.Transport()))
		return
	}
	s.respondPoll(x, b.frames)
}

// waitForAnswer returns what the parked poll is to be answered with. left is true if the
// client has gone before it was.
func (s *Session) waitForAnswer(ctx context.Context, p *poll) (b pollAnswer, aborted bool) {
	expired, stop := expiry(ctx)
	defer stop()
	select {
	case b = <-p.answer:
		return b, false
	case <-expired:
	case <-ctx.Done():
		if s.isParked(p) && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return pollAnswer{}, true
		}
	}
	s.mu.Lock()
	if s.poll == p {
		s.answerLocked(noopAnswer())
	}
	s.mu.Unlock()
	return <-p.answer, false // which may have been given before
}

// expiry returns a channel that tells when a poll should be answered in any
// case: somewhat before the request's deadline, if there is one. It is that of a
// middleware that limits how long handlers take, and would answer in our place.
func expiry(ctx context.Context) (expired <-chan time.Time, stop func()) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil, func() {}
	}
	left := time.Until(deadline)
	t := time.NewTimer(left - min(left/2, time.Second))
	return t.C, func() { t.Stop() }
}

// acceptPoll returns what a new GET is to be answered with, or the poll that it
// has to wait for, or neither if another one is parked already.
func (s *Session) acceptPoll(x *httpExchange) (b pollAnswer, parked *poll, ref *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.probe != nil && s.probe.probeAnswered
	s.pollReceivedLocked()
	switch {
	case s.state == stateClosed:
		return b, nil, unknownSession(s.id)
	case s.ws != nil: // upgraded since the request was verified
		return b, nil, transportMismatch(Polling, s.ws.name)
	case s.probe != nil && s.probe.committed:
		return b, nil, transportMismatch(Polling, s.probe.name)
	case s.poll != nil:
		return b, nil, nil
	case len(s.queue.frames) > 0 && !late:
		b = s.queue.takeAll()
		s.trackAnswerLocked(x, b)
		return b, nil, nil
	case len(s.queue.frames) == 0 && s.state.closing(): // EIO-GET-8
		b = noopAnswer()
		if s.state == stateClosing {
			b.frames = append(b.frames, closePacket)
		}
		s.removeLocked()
		s.trackAnswerLocked(x, b)
		return b, nil, nil
	}
	p := &poll{exchange: x, answer: make(chan pollAnswer, 1), afterProbe: late, delayed: late}
	s.poll = p
	if late {
		time.AfterFunc(latePollDelay, func() { s.endPollDelay(p) })
	}
	return b, p, nil
}

// endPollDelay ends the holding of a poll. If there is nothing for it, it is ended later:
// one whose client has not yet read the answer to its probe has to (EIO-UP-1), and
// one that never upgrades must not poll in a tight loop.
func (s *Session) endPollDelay(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll != p {
		return
	}
	p.delayed = false
	if len(s.queue.frames) > 0 {
		s.answerLocked(s.queue.takeAll())
		return
	}
	time.AfterFunc(noopDelay-latePollDelay, func() { s.endPollWithNoop(p) })
}

// endPollWithNoop answers a poll that is still parked, if only with a noop.
func (s *Session) endPollWithNoop(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll == p {
		s.answerLocked(noopAnswer())
	}
}

// isParked reports whether the poll still waits for its answer.
func (s *Session) isParked(p *poll) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll == p
}

// endPollForUpgradeLocked sees to it that the poll ends that is parked when a probe has been
// answered: the client sends its upgrade packet only when no poll is open (EIO
// section 11). In the first moments of a session, when there is much to say,
// what is said ends it; an extra packet would be one more to read. mu is held.
func (s *Session) endPollForUpgradeLocked() {
	p := s.poll
	if p == nil || p.afterProbe {
		return
	}
	if wait := noopDelay - s.age(); wait > 0 {
		time.AfterFunc(wait, func() { s.endPollWithNoop(p) })
		return
	}
	s.answerLocked(noopAnswer())
}

func (s *Session) respondPoll(x *httpExchange, frames []*frame.Frame) {
	body, header := s.payload(frames)
	x.uncompressed = !slices.ContainsFunc(frames, func(f *frame.Frame) bool { return !f.Uncompressed() })
	for _, f := range frames {
		f.Release()
	}
	sender, ok := x.Exchange.(Sender)
	if ok {
		sender.OnSent(x.answerSent)
	}
	err := x.Respond(Response{Status: http.StatusOK, Header: header, Body: body})
	if !ok {
		x.answerSent()
	}
	if err != nil {
		s.end(TransportError, err, endByError)
	}
}

// The headers of answers to polls, and to POSTs. Whoever has something to add
// takes a copy: see [httpExchange.mergeHeader].
//
//nolint:gochecknoglobals // immutable
var (
	textHeader   = pollingHeader(textContent)
	octetHeader  = pollingHeader(octetContent)
	scriptHeader = pollingHeader("text/javascript; charset=UTF-8")
	postHeader   = pollingHeader("text/html")

	postBody = []byte("ok")
)

func pollingHeader(contentType string) http.Header {
	return http.Header{
		"Content-Type":           {contentType},
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"}, // no other page may take it for a script of its own
	}
}
