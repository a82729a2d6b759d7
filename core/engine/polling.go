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

// noopDelay is the longest time that a poll stays open while a WebSocket
// probes: the reference's interval (EIO-UP-1).
const noopDelay = 100 * time.Millisecond

// firstNoopDelay is the wait before the second noop. It doubles with each, so
// a client that polls again before it has read the answer to its probe is not
// held up, and one that never upgrades does not poll in a tight loop.
const firstNoopDelay = 5 * time.Millisecond

// statusClientGone is what nginx has in its log for requests that nobody waits
// for any more. Ours is for the logs and caches around us, which would take no
// answer for 200.
const statusClientGone = 499

// A poll is a parked GET request. It is answered once, by whoever takes it out
// of its session, under the session's mu.
type poll struct {
	frames chan []*frame.Frame
}

func (p *poll) answer(frames []*frame.Frame) { p.frames <- frames }

// openPolling opens a session and answers with the open packet (EIO-HS-6).
func (e *Server) openPolling(x *visit) {
	s := e.newSession(x)
	if !s.start(nil, e.hello.polling) {
		respond(x, shuttingDown())
		return
	}
	s.mu.Lock()
	frames := s.out.take()
	s.mu.Unlock()
	s.opened()
	s.answerPoll(x, frames)
}

// servePoll answers a GET with what is queued, or parks it until there is
// something.
func (s *Session) servePoll(ctx context.Context, x *visit) {
	frames, parked, ref := s.takePoll()
	s.dropProbe() // if that was the client's last poll
	switch {
	case ref != nil:
		s.server.refuse(x, ref)
		return
	case parked == nil && frames == nil: // EIO-GET-5
		s.end(TransportError, errPollOverlap, farewell{discard: true})
		respond(x, Response{Status: http.StatusBadRequest})
		return
	case parked != nil:
		x.park()
		if frames = s.wait(ctx, parked); frames == nil { // EIO-GET-6
			s.end(TransportError, errPollAborted, farewell{discard: true})
			respond(x, Response{Status: statusClientGone})
			return
		}
	}
	s.answerPoll(x, frames)
}

// wait returns what the parked poll is to be answered with, or nil if the
// client has left before it was.
func (s *Session) wait(ctx context.Context, p *poll) []*frame.Frame {
	expired, stop := expiry(ctx)
	defer stop()
	select {
	case frames := <-p.frames:
		return frames
	case <-expired:
	case <-ctx.Done():
		if s.parks(p) && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil
		}
	}
	s.mu.Lock()
	s.noop(p)
	s.mu.Unlock()
	return <-p.frames // which may have been given before
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
func (s *Session) takePoll() (frames []*frame.Frame, parked *poll, ref *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polled()
	switch {
	case s.state == stateClosed:
		return nil, nil, unknownSession(s.id)
	case s.link != nil: // upgraded since the request was verified
		return nil, nil, badRequest("TRANSPORT_MISMATCH", "transport", Polling, "previousTransport", s.link.name)
	case s.poll != nil:
		return nil, nil, nil
	case len(s.out.frames) > 0:
		return s.out.take(), nil, nil
	case s.state == stateLeft: // EIO-GET-8
		s.gone()
		if s.parted {
			return []*frame.Frame{noopPacket}, nil, nil
		}
		return []*frame.Frame{noopPacket, closePacket}, nil, nil
	}
	s.poll = &poll{frames: make(chan []*frame.Frame, 1)}
	parked = s.poll
	s.releasePoll()
	return nil, parked, nil
}

// parks reports whether the poll still waits for its answer.
func (s *Session) parks(p *poll) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll == p
}

// releasePoll sees to it that the parked poll ends soon if a connection wants
// to take over: the client sends its upgrade packet only when no poll is open
// (EIO section 11).
func (s *Session) releasePoll() {
	l, p := s.probe, s.poll
	if l == nil || p == nil || !l.probed {
		return
	}
	if l.noops++; l.noops == 1 {
		s.noop(p)
		return
	}
	delay := min(firstNoopDelay<<min(l.noops-2, 8), noopDelay)
	time.AfterFunc(delay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.noop(p)
	})
}

// noop ends the poll if it is still parked; mu is held.
func (s *Session) noop(p *poll) {
	if s.poll == p {
		s.poll = nil
		p.answer([]*frame.Frame{noopPacket})
	}
}

func (s *Session) answerPoll(x *visit, frames []*frame.Frame) {
	body, header := s.payload(frames)
	x.plain = !slices.ContainsFunc(frames, func(f *frame.Frame) bool { return !f.Plain() })
	for _, f := range frames {
		f.Release()
	}
	if err := x.Respond(Response{Status: http.StatusOK, Header: header, Body: body}); err != nil {
		s.end(TransportError, err, farewell{discard: true})
	}
}

// The headers of answers to polls, and to POSTs. Whoever has something to add
// takes a copy: see [visit.complete].
//
//nolint:gochecknoglobals // immutable
var (
	textHeader  = pollingHeader(textContent)
	octetHeader = pollingHeader(octetContent)
	postHeader  = pollingHeader("text/html")

	posted = []byte("ok")
)

func pollingHeader(contentType string) http.Header {
	return http.Header{"Content-Type": {contentType}, "Cache-Control": {"no-store"}}
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
		s.endPost()
		s.end(TransportError, errContentType, farewell{discard: true})
		respond(x, Response{Status: http.StatusBadRequest})
		return
	}
	body, err := readBody(req, s.server.opts.MaxHTTPBufferSize)
	s.endPost()
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
		s.server.refuse(x, unknownSession(s.id))
		return
	}
	err = s.receivePayload(body, octets)
	var broken *rescue.PanicError
	switch {
	case errors.As(err, &broken):
		s.fail(broken)
		respond(x, Response{Status: http.StatusInternalServerError})
	case err != nil: // EIO-POST-7: the protocol's own tests ask for 400
		s.end(ParseError, err, farewell{discard: true})
		respond(x, Response{Status: http.StatusBadRequest})
	default:
		respond(x, Response{Status: http.StatusOK, Header: postHeader, Body: posted})
	}
}

// beginPost notes that a POST is being read. It reports false if another one
// is.
func (s *Session) beginPost(x *visit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.posting != nil {
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

func (s *Session) endPost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posting = nil
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
	packets, err := s.packets(body, octets)
	if err != nil {
		return err
	}
	s.recv.Lock()
	defer s.recv.Unlock()
	if s.worker() != nil {
		defer func() {
			// Not here: the client waits for the answer before it sends more.
			go s.work(noTurn) // ends with the handlers, whose context the session's end cancels
		}()
	}
	return rescue.Call(func() error {
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
