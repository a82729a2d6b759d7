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

// holdDelay is how long a poll that comes after the answer to a probe has to wait
// before it gets anything. It may have been sent behind the upgrade packet, on
// another connection, and have overtaken that on its way: then its client does not
// look at what it is answered.
const holdDelay = 20 * time.Millisecond

// statusClientGone is what nginx has in its log for requests that nobody waits
// for any more. Ours is for the logs and caches around us, which would take no
// answer for 200.
const statusClientGone = 499

// A poll is a parked GET request. It is answered once, by whoever takes it out
// of its session, under the session's mu: see [Session.answer].
type poll struct {
	visit  *visit
	answer chan batch
	late   bool // it came when its client had been told that it may upgrade
	held   bool // it gets nothing yet: see holdDelay
}

// A batch is what a poll is answered with.
type batch struct {
	frames []*frame.Frame
	size   int  // what they count for in the outbox
	moved  bool // nothing: another connection has the session
}

func noop() batch { return batch{frames: []*frame.Frame{noopPacket}} }

// answer answers the parked poll; mu is held.
func (s *Session) answer(b batch) {
	p := s.poll
	s.poll = nil
	s.sends(p.visit, b)
	p.answer <- b
}

// sends notes that a request is about to be answered with b; mu is held.
func (s *Session) sends(x *visit, b batch) {
	x.session, x.size, x.next = s, b.size, s.answers
	s.answers = x
}

// sent notes that the answer to a poll has left, or never will. Until then it
// counts for the session, and the session's end limits it.
func (v *visit) sent() {
	s := v.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := &s.answers; *p != nil; p = &(*p).next {
		if *p == v {
			*p = v.next
			s.out.left(v.size)
			return
		}
	}
}

// limitAnswers has the answers to polls given up that have not left within d; mu
// is held.
func (s *Session) limitAnswers(d time.Duration) {
	for v := s.answers; v != nil; v = v.next {
		v.sendWithin(d)
	}
}

// openPolling opens a session and answers with the open packet (EIO-HS-6).
func (e *Server) openPolling(x *visit) {
	s := e.newSession(x)
	if !s.start(nil, e.hello.polling) {
		respond(x, shuttingDown())
		return
	}
	s.mu.Lock()
	b := s.out.take()
	s.sends(x, b)
	s.mu.Unlock()
	s.opened()
	s.answerPoll(x, b.frames)
}

// servePoll answers a GET with what is queued, or parks it until there is
// something.
func (s *Session) servePoll(ctx context.Context, x *visit) {
	b, parked, ref := s.takePoll(x)
	s.dropProbe() // if that was the client's last poll
	switch {
	case ref != nil:
		s.server.refuse(x, ref)
		return
	case parked == nil && b.frames == nil: // EIO-GET-5
		s.end(TransportError, errPollOverlap, farewell{discard: true})
		respond(x, Response{Status: http.StatusBadRequest})
		return
	case parked != nil:
		x.park()
		var left bool
		if b, left = s.wait(ctx, parked); left { // EIO-GET-6
			s.end(TransportError, errPollAborted, farewell{discard: true})
			x.sent()
			respond(x, Response{Status: statusClientGone})
			return
		}
	}
	if b.moved { // EIO-GET-10
		x.sent()
		s.server.refuse(x, transportMismatch(Polling, s.Transport()))
		return
	}
	s.answerPoll(x, b.frames)
}

// wait returns what the parked poll is to be answered with. left is true if the
// client has gone before it was.
func (s *Session) wait(ctx context.Context, p *poll) (b batch, left bool) {
	expired, stop := expiry(ctx)
	defer stop()
	select {
	case b = <-p.answer:
		return b, false
	case <-expired:
	case <-ctx.Done():
		if s.parks(p) && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return batch{}, true
		}
	}
	s.mu.Lock()
	if s.poll == p {
		s.answer(noop())
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

// takePoll returns what a new GET is to be answered with, or the poll that it
// has to wait for, or neither if another one is parked already.
func (s *Session) takePoll(x *visit) (b batch, parked *poll, ref *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.probe != nil && s.probe.answered
	s.polled()
	switch {
	case s.state == stateClosed:
		return b, nil, unknownSession(s.id)
	case s.link != nil: // upgraded since the request was verified
		return b, nil, transportMismatch(Polling, s.link.name)
	case s.probe != nil && s.probe.committed:
		return b, nil, transportMismatch(Polling, s.probe.name)
	case s.poll != nil:
		return b, nil, nil
	case len(s.out.frames) > 0 && !late:
		b = s.out.take()
		s.sends(x, b)
		return b, nil, nil
	case len(s.out.frames) == 0 && s.state == stateLeft: // EIO-GET-8
		s.gone()
		b = noop()
		if !s.parted {
			b.frames = append(b.frames, closePacket)
		}
		s.sends(x, b)
		return b, nil, nil
	}
	p := &poll{visit: x, answer: make(chan batch, 1), late: late, held: late}
	s.poll = p
	if late {
		time.AfterFunc(holdDelay, func() { s.letGo(p) })
	}
	return b, p, nil
}

// letGo ends the holding of a poll. If there is nothing for it, it is ended later:
// one whose client has not yet read the answer to its probe has to (EIO-UP-1), and
// one that never upgrades must not poll in a tight loop.
func (s *Session) letGo(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll != p {
		return
	}
	p.held = false
	if len(s.out.frames) > 0 {
		s.answer(s.out.take())
		return
	}
	time.AfterFunc(noopDelay-holdDelay, func() { s.releasePoll(p) })
}

// releasePoll answers a poll that is still parked, if only with a noop.
func (s *Session) releasePoll(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll == p {
		s.answer(noop())
	}
}

// parks reports whether the poll still waits for its answer.
func (s *Session) parks(p *poll) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll == p
}

// probed sees to it that the poll ends that is parked when a probe has been
// answered: the client sends its upgrade packet only when no poll is open (EIO
// section 11). In the first moments of a session, when there is much to say,
// what is said ends it; an extra packet would be one more to read. mu is held.
func (s *Session) probed() {
	p := s.poll
	if p == nil || p.late {
		return
	}
	if wait := noopDelay - s.age(); wait > 0 {
		time.AfterFunc(wait, func() { s.releasePoll(p) })
		return
	}
	s.answer(noop())
}

func (s *Session) answerPoll(x *visit, frames []*frame.Frame) {
	body, header := s.payload(frames)
	x.plain = !slices.ContainsFunc(frames, func(f *frame.Frame) bool { return !f.Plain() })
	for _, f := range frames {
		f.Release()
	}
	sender, ok := x.Exchange.(Sender)
	if ok {
		sender.OnSent(x.sent)
	}
	err := x.Respond(Response{Status: http.StatusOK, Header: header, Body: body})
	if !ok {
		x.sent()
	}
	if err != nil {
		s.end(TransportError, err, farewell{discard: true})
	}
}

// The headers of answers to polls, and to POSTs. Whoever has something to add
// takes a copy: see [visit.complete].
//
//nolint:gochecknoglobals // immutable
var (
	textHeader   = pollingHeader(textContent)
	octetHeader  = pollingHeader(octetContent)
	scriptHeader = pollingHeader("text/javascript; charset=UTF-8")
	postHeader   = pollingHeader("text/html")

	posted = []byte("ok")
)

func pollingHeader(contentType string) http.Header {
	return http.Header{
		"Content-Type":           {contentType},
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"}, // no other page may take it for a script of its own
	}
}
