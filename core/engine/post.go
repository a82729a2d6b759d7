package engine

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
)

// servePost reads a payload and hands its packets over.
func (s *Session) servePost(x *httpExchange) {
	req := x.Request()
	if !s.beginPost(x) { // EIO-POST-8
		s.end(TransportError, errPostOverlap, endByError)
		respond(x, Response{Status: http.StatusBadRequest})
		return
	}
	octets := req.Header.Get("Content-Type") == octetContent
	if octets && !s.dialect.has(revision3) { // EIO-POST-3
		s.endPost(false)
		s.end(TransportError, errContentType, endByError)
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
			s.end(TransportError, errPostAborted, endByError)
		}
		x.hangUp()
		return
	}
	if !s.exists() {
		s.postHandled()
		s.server.refuse(x, unknownSession(s.id))
		return
	}
	err = s.handlePost(x, body, octets)
	switch {
	case rescue.Broken(err):
		s.endAfterPanic(err)
		respond(x, Response{Status: http.StatusInternalServerError})
	case err != nil: // EIO-POST-7: the protocol's own tests ask for 400
		s.end(ParseError, err, endByError)
		respond(x, Response{Status: http.StatusBadRequest})
	default:
		s.awaitOvertakenPoll()
		respond(x, Response{Status: http.StatusOK, Header: postHeader, Body: postBody})
	}
}

// awaitOvertakenPoll gives a poll some time that the client sent before the POST that
// closed the session, and that the POST has overtaken: the poll gets a noop. When the
// POST is answered, the session is unknown.
func (s *Session) awaitOvertakenPoll() {
	s.mu.Lock()
	awaited := s.state == stateClientClosed
	s.mu.Unlock()
	if !awaited {
		return
	}
	<-time.After(latePollDelay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClientClosed {
		s.removeLocked()
	}
}

// maxPendingPosts is how many POSTs may be read before the handlers have returned. A
// client that waits for the answer before it sends the next POST has one at most.
const maxPendingPosts = 3

// beginPost notes that a POST is being read. It reports false if another one is being
// read, or if too many wait for handlers.
func (s *Session) beginPost(x *httpExchange) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readingPost != nil || s.pendingPosts >= maxPendingPosts {
		return false
	}
	s.readingPost = x
	if s.state == stateClosed {
		x.cancelRead()
	}
	return true
}

// cancelPostLocked ends the reading of a POST, which must not outlive the session
// (EIO-CL-6). The lock keeps the request from being answered meanwhile.
func (s *Session) cancelPostLocked() {
	if s.readingPost != nil {
		s.readingPost.cancelRead()
	}
}

// endPost notes that the reading of a POST has ended. complete says whether its packets
// are going to be handled.
func (s *Session) endPost(complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readingPost = nil
	if complete {
		s.pendingPosts++
	}
}

// handlePost handles the packets of a POST.
func (s *Session) handlePost(x *httpExchange, body []byte, octets bool) error {
	defer s.postHandled() // also if the handler panics
	return s.receivePayload(x, body, octets)
}

func (s *Session) postHandled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pendingPosts--
}

// holdPolls keeps polls from being answered before the POST, for maxHold at most. The client
// gets the answer to its POST before the answer to what it has sent, so that it can send
// again. Otherwise an upgrade that begins in between could keep it from sending, and the poll
// from ending. It is called when the packets of the POST have been received: that may wait
// for handlers, whose clients may wait for their polls.
func (s *Session) holdPolls(x *httpExchange) {
	x.postSession = s
	s.server.holdTimers.Set(&x.holdTimer, x)
	s.mu.Lock()
	defer s.mu.Unlock()
	x.holdsPolls = true
	s.queue.heldByPosts++
}

// maxHold is how long an answer to a POST that does not leave holds polls.
const maxHold = 20 * time.Millisecond

// releasePolls ends the wait of [Session.holdPolls]. Only the first call has an effect.
func (x *httpExchange) releasePolls() {
	s := x.postSession
	s.mu.Lock()
	defer s.mu.Unlock()
	if !x.holdsPolls {
		return
	}
	x.holdsPolls = false
	s.queue.heldByPosts--
	if s.ws == nil && s.queue.state == queueIdle {
		s.answerQueuedLocked()
	}
}

// postAnswered is called when the answer to a POST has left, or never will.
func (x *httpExchange) postAnswered() {
	if x.postSession != nil {
		x.holdTimer.Stop()
		x.releasePolls()
	}
}

// readPost reads the body of a POST after beginPost, and calls endPost.
func (s *Session) readPost(req *Request) ([]byte, error) {
	complete := false
	defer func() { s.endPost(complete) }()
	body, err := readBody(req, s.server.opts.MaxHTTPBufferSize)
	complete = err == nil
	return body, err
}

// smallBody is the largest body whose memory is allocated before it comes.
const smallBody = 4 << 10

var errTooLarge = errors.New("body is larger than maxHttpBufferSize")

// readBody reads a body of at most limit bytes. A larger announced length is refused early. Apart
// from that, memory is allocated for bytes that have come, not for announced ones.
func readBody(req *Request, limit int) ([]byte, error) {
	if req.ContentLength > int64(limit) {
		return nil, errTooLarge
	}
	if req.Body == nil {
		return nil, nil
	}
	body, err := readAll(req.Body, int(min(req.ContentLength, smallBody)), limit)
	var lower *http.MaxBytesError // a limit of the application's middleware
	if len(body) > limit || errors.As(err, &lower) {
		return nil, errTooLarge
	}
	return body, err
}

// readAll reads to the end, or more than limit bytes. expected is how many will come, if it
// is above 0.
func readAll(r io.Reader, expected, limit int) ([]byte, error) {
	var body []byte
	if expected > 0 {
		body = make([]byte, 0, expected+1) // with room for the read that finds the end
	}
	for len(body) <= limit {
		if len(body) == cap(body) {
			body = slices.Grow(body, max(bytes.MinRead, len(body)))
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return body, err
		}
	}
	return body, nil
}

// receivePayload decodes a payload and handles its packets, on a goroutine of its own. That
// goroutine then lets the worker work, while the POST is answered: the client waits for the
// answer before it sends more.
func (s *Session) receivePayload(x *httpExchange, body []byte, octets bool) error {
	packets := s.payloadReader(body, octets)
	s.recv.Lock()
	defer s.recv.Unlock()
	received := make(chan error, 1)
	go rescue.Do(func() error { return s.receiveLockedAll(packets) }, func(err error) {
		s.holdPolls(x)
		received <- err
		s.runWorker(noTurn) // ends with the handlers, whose context the session's end cancels
	})
	return <-received
}

// receiveLockedAll handles packets. A caller waits for it, and holds recv.
func (s *Session) receiveLockedAll(packets packetReader) error {
	for packets.More() {
		p, err := packets.Next()
		if err != nil {
			return err
		}
		if !s.receiveLocked(p) {
			return nil // EIO-POST-16: what follows is dropped
		}
	}
	return nil
}
