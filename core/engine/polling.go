package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/rescue"
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
			s.out.bytes -= v.size
			s.out.shrunk()
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

// servePost reads a payload and hands its packets over.
func (s *Session) servePost(x *visit) {
	req := x.Request()
	if !s.beginPost(x) { // EIO-POST-8
		s.end(TransportError, errPostOverlap, farewell{discard: true})
		respond(x, Response{Status: http.StatusBadRequest})
		return
	}
	octets := req.Header.Get("Content-Type") == octetContent
	if octets && !s.dialect.has(revision3) { // EIO-POST-3
		s.endPost(false)
		s.end(TransportError, errContentType, farewell{discard: true})
		respond(x, Response{Status: http.StatusBadRequest})
		return
	}
	body, err := s.readPost(req)
	switch {
	case errors.Is(err, errTooLarge): // EIO-POST-4: the session goes on
		respond(x, Response{Status: http.StatusRequestEntityTooLarge})
		return
	case err != nil:
		if s.isOpen() { // EIO-POST-9; otherwise it was us: EIO-POST-17
			s.end(TransportError, errPostAborted, farewell{discard: true})
		}
		x.hangUp()
		return
	}
	if !s.exists() {
		s.handledPost()
		s.server.refuse(x, unknownSession(s.id))
		return
	}
	err = s.handlePost(body, octets)
	switch {
	case rescue.Broken(err):
		s.fail(err)
		respond(x, Response{Status: http.StatusInternalServerError})
	case err != nil: // EIO-POST-7: the protocol's own tests ask for 400
		s.end(ParseError, err, farewell{discard: true})
		respond(x, Response{Status: http.StatusBadRequest})
	default:
		s.awaitOvertaken()
		respond(x, Response{Status: http.StatusOK, Header: postHeader, Body: posted})
	}
}

// awaitOvertaken gives a poll some time that its client sent before the POST which
// closed the session, and that was overtaken on the way: it is answered as if it
// had been parked. When the POST has been answered the session is unknown.
func (s *Session) awaitOvertaken() {
	s.mu.Lock()
	parted := s.parted
	s.mu.Unlock()
	if !parted {
		return
	}
	<-time.After(holdDelay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateLeft {
		s.gone()
	}
}

// mostPosts is how many POSTs may have been read and not been handled: a client
// that waits for the answer to one before it sends the next has one at most.
const mostPosts = 3

// beginPost notes that a POST is being read. It reports false if another one is,
// or if too many that were wait for handlers.
func (s *Session) beginPost(x *visit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.posting != nil || s.posts >= mostPosts {
		return false
	}
	s.posting = x
	if s.state == stateClosed {
		x.cancelRead()
	}
	return true
}

// cancelPost ends the reading of a POST, which must not outlive the session
// (EIO-CL-6); mu is held, so the request is still there.
func (s *Session) cancelPost() {
	if s.posting != nil {
		s.posting.cancelRead()
	}
}

// endPost notes that a POST is not read any more, and whether it is to be handled.
func (s *Session) endPost(handled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posting = nil
	if handled {
		s.posts++
	}
}

// handlePost hands over what was posted, and notes that it is handled, whatever the
// handler does.
func (s *Session) handlePost(body []byte, octets bool) error {
	defer s.handledPost()
	return s.receivePayload(body, octets)
}

func (s *Session) handledPost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts--
}

// readPost reads the body of the POST that has begun, and ends that.
func (s *Session) readPost(req *Request) ([]byte, error) {
	read := false
	defer func() { s.endPost(read) }()
	body, err := readBody(req, s.server.opts.MaxHTTPBufferSize)
	read = err == nil
	return body, err
}

// smallBody is up to which size a body gets the memory that it asks for at once.
const smallBody = 4 << 10

var errTooLarge = errors.New("body is larger than maxHttpBufferSize")

// readBody reads at most limit bytes. It does not trust the announced length
// with memory, only with refusing early.
func readBody(req *Request, limit int) ([]byte, error) {
	if req.ContentLength > int64(limit) {
		return nil, errTooLarge
	}
	if req.Body == nil {
		return nil, nil
	}
	var buf bytes.Buffer
	if n := int(req.ContentLength); n > 0 && n <= smallBody {
		buf.Grow(n + bytes.MinRead) // for the read that finds the end, too
	}
	n, err := buf.ReadFrom(io.LimitReader(req.Body, int64(limit)+1))
	var lower *http.MaxBytesError // a limit of the application's middleware
	if n > int64(limit) || errors.As(err, &lower) {
		return nil, errTooLarge
	}
	return buf.Bytes(), err
}

func (s *Session) receivePayload(body []byte, octets bool) error {
	packets := s.packets(body, octets)
	s.recv.Lock()
	defer s.recv.Unlock()
	if s.worker() != nil {
		defer func() {
			// Not here: the client waits for the answer before it sends more.
			go s.work(noTurn) // ends with the handlers, whose context the session's end cancels
		}()
	}
	return rescue.Apart(func() error {
		for packets.More() {
			p, err := packets.Next()
			if err != nil {
				return err
			}
			if !s.receive(p) {
				return nil // EIO-POST-16: what follows is dropped
			}
		}
		return nil
	})
}
