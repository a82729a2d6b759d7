package engine

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
)

// noopDelay is how long a poll stays open while a WebSocket probes for an upgrade: the
// reference's interval (EIO-UP-1). The first one ends sooner: see quietDelay.
const noopDelay = 100 * time.Millisecond

// quietDelay is for how long nothing has to leave in a poll, before it ends for an upgrade.
// What a young session sends soon anyway ends the poll as well.
const quietDelay = 20 * time.Millisecond

// latePollDelay is how long a poll that comes after the answer to a probe waits before
// it is answered. The client may have sent the upgrade packet first, on the WebSocket,
// and the poll has overtaken it. Then the client ignores the answer to the poll.
const latePollDelay = 20 * time.Millisecond

// statusClientClosedRequest is nginx's status for a request whose client has gone.
// Without it, logs and caches would count the request as answered with 200.
const statusClientClosedRequest = 499

// A poll is a parked GET request. It is answered once, under the session's mu: see
// [Session.answerLocked].
type poll struct {
	exchange   *httpExchange
	answer     chan pollAnswer
	afterProbe bool // it came when the client had the answer to its probe
	delayed    bool // it must not be answered yet: see latePollDelay
}

// A pollAnswer is the answer to a poll.
type pollAnswer struct {
	frames   []*frame.Frame
	size     int  // of the frames, in sendQueue.bytes
	upgraded bool // no frames: a WebSocket carries the session now
	drained  bool // no frames: the server has drained the session
}

func noopAnswer() pollAnswer { return pollAnswer{frames: []*frame.Frame{noopPacket}} }

// answerLocked answers the parked poll.
func (s *Session) answerLocked(a pollAnswer) {
	p := s.poll
	s.poll = nil
	s.trackAnswerLocked(p.exchange, a)
	p.answer <- a
}

// trackAnswerLocked adds a request that is about to be answered to the list of answers
// that have not left yet.
func (s *Session) trackAnswerLocked(x *httpExchange, a pollAnswer) {
	s.countSentLocked(a.frames)
	x.pollSession, x.answerSize, x.nextAnswer = s, a.size, s.unsentAnswers
	s.unsentAnswers = x
}

// answerSent removes a request from that list: its answer has left, or never will, which
// ends the session. Until then the answer counts in the session's send queue, and the end
// of the session limits the time for it. It is called once, or again for another answer to
// the same request, which then is none of the session's.
func (x *httpExchange) answerSent(err error) {
	s := x.pollSession
	if err != nil { // before the answer stops to count, or Flush would take it for sent
		s.end(TransportError, err, endByError)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := &s.unsentAnswers; *p != nil; p = &(*p).nextAnswer {
		if *p == x {
			*p = x.nextAnswer
			s.queue.sent(x.answerSize)
			break
		}
	}
	x.pollSession = nil
}

// limitAnswersLocked gives up the answers that do not leave within d.
func (s *Session) limitAnswersLocked(d time.Duration) {
	for x := s.unsentAnswers; x != nil; x = x.nextAnswer {
		x.sendWithin(d)
	}
}

// openPolling opens a session and answers with the open packet (EIO-HS-6).
func (e *Server) openPolling(x *httpExchange) {
	s := e.newSession(x)
	if !s.start(nil, e.openTail.polling) {
		e.refuse(x, shuttingDown())
		return
	}
	s.mu.Lock()
	a := s.queue.takeAll()
	s.trackAnswerLocked(x, a)
	s.mu.Unlock()
	s.callOpened()
	s.respondPoll(x, a.frames)
}

// servePoll answers a GET with what is queued, or parks it until there is
// something.
func (s *Session) servePoll(ctx context.Context, x *httpExchange) {
	a, parked, ref := s.acceptPoll(x)
	s.closeStaleProbe() // if the session was closed, and this was the last poll
	switch {
	case ref != nil:
		s.server.refuse(x, ref)
		return
	case parked == nil && a.frames == nil && !a.drained: // EIO-GET-5
		s.end(TransportError, errPollOverlap, endByError)
		respond(x, Response{Status: http.StatusBadRequest})
		return
	case parked != nil:
		x.park()
		var aborted bool
		if a, aborted = s.waitForAnswer(ctx, parked); aborted { // EIO-GET-6
			s.end(TransportError, errPollAborted, endByError)
			x.answerSent(nil)
			respond(x, Response{Status: statusClientClosedRequest})
			return
		}
	}
	switch {
	case a.upgraded: // EIO-GET-10
		x.answerSent(nil)
		s.server.refuse(x, transportMismatch(Polling, s.Transport()))
	case a.drained:
		x.answerSent(nil)
		s.server.refuse(x, comeBack())
	default:
		s.respondPoll(x, a.frames)
	}
}

// waitForAnswer returns the answer to the parked poll. aborted is true if the client
// went away before there was one.
func (s *Session) waitForAnswer(ctx context.Context, p *poll) (a pollAnswer, aborted bool) {
	expired, stop := expiry(ctx)
	defer stop()
	select {
	case a = <-p.answer:
		return a, false
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
	return <-p.answer, false // another goroutine may have given it before
}

// expiry returns a channel that receives when a poll has to be answered: somewhat before
// the deadline of its context, if there is one. A middleware that limits how long
// handlers take sets it, and would send an answer of its own.
func expiry(ctx context.Context) (expired <-chan time.Time, stop func()) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil, func() {}
	}
	left := time.Until(deadline)
	t := time.NewTimer(left - min(left/2, time.Second))
	return t.C, func() { t.Stop() }
}

// acceptPoll returns the answer to a new GET, or the parked poll if it has to wait. It
// returns neither if another poll is parked already.
func (s *Session) acceptPoll(x *httpExchange) (a pollAnswer, parked *poll, ref *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.probe != nil && s.probe.probeAnswered
	s.pollReceivedLocked()
	switch {
	case s.state == stateClosed:
		return a, nil, unknownSession(s.id)
	case s.ws != nil: // upgraded since the request was verified
		return a, nil, transportMismatch(Polling, WebSocket)
	case s.probe != nil && s.probe.committed:
		return a, nil, transportMismatch(Polling, WebSocket)
	case s.poll != nil:
		return a, nil, nil
	case len(s.queue.frames) > 0 && !late && s.queue.heldByPosts == 0:
		a = s.queue.takeAll()
		s.trackAnswerLocked(x, a)
		return a, nil, nil
	case len(s.queue.frames) == 0 && s.state.closing(): // EIO-GET-8
		a = s.lastAnswerLocked()
		s.removeLocked()
		s.trackAnswerLocked(x, a)
		return a, nil, nil
	}
	p := &poll{exchange: x, answer: make(chan pollAnswer, 1), afterProbe: late, delayed: late}
	s.poll = p
	if late {
		time.AfterFunc(latePollDelay, func() { s.endPollDelay(p) })
	}
	return a, p, nil
}

// lastAnswerLocked returns the answer to the last poll of a session that is closing.
func (s *Session) lastAnswerLocked() pollAnswer {
	switch s.state {
	case stateDrained:
		return pollAnswer{drained: true}
	case stateClosing:
		return pollAnswer{frames: []*frame.Frame{noopPacket, closePacket}}
	case stateOpen, stateClientClosed, stateClosed:
	}
	return noopAnswer()
}

// endPollDelay is called after latePollDelay. If nothing is queued, the poll ends later with
// a noop: a client that has not read the answer to its probe yet needs the poll to end
// (EIO-UP-1). A client that never upgrades must not poll in a tight loop.
func (s *Session) endPollDelay(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll != p {
		return
	}
	p.delayed = false
	if len(s.queue.frames) > 0 {
		s.answerQueuedLocked()
		return
	}
	delay := noopDelay - latePollDelay
	if s.probe != nil && !s.probe.noopSent {
		delay = quietDelay
	}
	s.endPollAfter(p, delay)
}

// endPollAfter answers a poll with a noop after a delay, if it is still parked. The delay has
// two parts, so that what came while the whole process stood still is handled in between.
func (s *Session) endPollAfter(p *poll, delay time.Duration) {
	time.AfterFunc(delay/2, func() {
		if s.isParked(p) {
			time.AfterFunc(delay/2, func() { s.endPollWithNoop(p) })
		}
	})
}

// endPollWithNoop answers a poll with a noop, if it is still parked.
func (s *Session) endPollWithNoop(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll != p || len(s.queue.frames) > 0 { // these leave when a POST has been answered
		return
	}
	if s.probe != nil {
		s.probe.noopSent = true
	}
	s.answerLocked(noopAnswer())
}

// isParked reports whether the poll still waits for its answer.
func (s *Session) isParked(p *poll) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll == p
}

// endPollForUpgradeLocked ends the parked poll when a probe has been answered. The
// client sends its upgrade packet only when no poll is open (EIO section 11). A young
// session usually has messages to send soon. So it gets the noop after quietDelay.
func (s *Session) endPollForUpgradeLocked() {
	p := s.poll
	if p == nil || p.afterProbe || len(s.queue.frames) > 0 {
		return
	}
	if s.age() < noopDelay {
		s.endPollAfter(p, quietDelay)
		return
	}
	s.probe.noopSent = true
	s.answerLocked(noopAnswer())
}

// respondPoll sends the answer to a poll.
func (s *Session) respondPoll(x *httpExchange, frames []*frame.Frame) {
	body, header := s.payload(frames)
	x.uncompressed = !slices.ContainsFunc(frames, func(f *frame.Frame) bool { return !f.Uncompressed() })
	for _, f := range frames {
		f.Release()
	}
	respond(x, Response{Status: http.StatusOK, Header: header, Body: body})
}

// The headers of answers to polls and to POSTs. They are shared: mergeHeader makes a
// copy before it adds to them.
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
		"X-Content-Type-Options": {"nosniff"}, // no page may load it as a script
	}
}
