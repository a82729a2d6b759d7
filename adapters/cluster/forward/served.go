package forward

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// A served is a request that another server has forwarded over the broker. It implements
// [engine.Exchange], [engine.Aborter] and [engine.Sender].
type served struct {
	router *Router
	from   string // id of the server that has forwarded it
	id     uint64
	req    engine.Request
	body   *pipe
	kept   int // bytes that count in the router's memory, beside those of the body

	ctx    context.Context //nolint:containedctx // ends with the request
	cancel context.CancelFunc
	wake   chan struct{} // has an element if parts of the answer were read

	done chan struct{} // closed when it has ended

	mu       sync.Mutex
	canceled bool // nobody waits for the answer
	answered bool
	confirm  bool   // the answer has packets, so the other server has to confirm it
	read     uint32 // parts of the answer that the other server has
	ended    bool
	sent     func(err error) // of OnSent
	deadline time.Time       // for the answer
	timer    *time.Timer
}

// confirmTimeout is how long an answer of a poll may take to the other server and back. If it is
// not confirmed then, it may be lost, and the session ends: its client never gets these packets.
const confirmTimeout = 10 * time.Second

var (
	errConfirm  = errors.New("forward: the answer to a poll was not confirmed, and may be lost")
	errCanceled = errors.New("forward: the answer to a poll did not get to the client")
	errTunnel   = errors.New("forward: no WebSocket comes over the broker")
)

// requestOverhead is about what a request takes beside its head.
const requestOverhead = 2 << 10

// A sender is another server that forwards requests over the broker.
type sender struct {
	sequence

	requests map[uint64]*served
}

// senders are those of a router, by id.
type senders struct {
	left chan struct{} // has an element if a request has ended

	mu  sync.Mutex
	all map[string]*sender
}

// maxSenders bounds the memory for servers that have forwarded something.
const maxSenders = 10_000

// ofLocked returns a server. Those that have no requests are forgotten if there are too many.
func (s *senders) ofLocked(id string) *sender {
	if s.all[id] == nil {
		for other, o := range s.all {
			if len(s.all) < maxSenders {
				break
			}
			if len(o.requests) == 0 {
				delete(s.all, other)
			}
		}
		s.all[id] = &sender{requests: make(map[uint64]*served)}
	}
	return s.all[id]
}

func (s *senders) request(from string, id uint64) *served {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.all[from]; o != nil {
		return o.requests[id]
	}
	return nil
}

// list returns all requests of a server, or of all if from is "".
func (s *senders) list(from string) (list []*served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, o := range s.all {
		if from == "" || from == id {
			for _, q := range o.requests {
				list = append(list, q)
			}
		}
	}
	return list
}

// relayed takes what another server has sent over the broker.
func (r *Router) relayed(from string, data []byte) {
	r.mu.Lock()
	started := r.started
	r.mu.Unlock()
	if !started {
		return
	}
	f, err := readFrame(data, r.secret, from, r.members.ServerID())
	if err != nil {
		r.refuseFrame(from, &f, err)
		return
	}
	switch f.kind {
	case answerFrame, requestAckFrame, waitFrame, failFrame:
		if c := r.call(f.id); c != nil && c.owner == from {
			c.receive(&f)
		} else if f.kind == answerFrame && f.last {
			r.outbox.add(from, frame{kind: cancelFrame, id: f.id})
		}
	case requestFrame:
		r.receiveRequest(from, &f)
	case confirmFrame:
		for ids := f.data; len(ids) >= 8; ids = ids[8:] {
			if s := r.senders.request(from, binary.BigEndian.Uint64(ids)); s != nil {
				s.finish(nil)
			}
		}
	case releaseFrame:
		r.polls.release(from)
	case answerAckFrame, cancelFrame:
		if s := r.senders.request(from, f.id); s != nil {
			s.receive(&f)
		}
	}
}

// refuseFrame is called for a frame that was not signed with the secret, or makes no sense.
func (r *Router) refuseFrame(from string, f *frame, err error) {
	r.counters.strangers.Add(1)
	r.log.Debug("a message over the broker was refused", slog.String("server", from), slog.Any("err", err))
	if !errors.Is(err, errSignature) {
		return
	}
	if f.kind == requestFrame && f.part == 0 { // a server with another secret learns of it
		r.outbox.add(from, frame{kind: failFrame, id: f.id, part: http.StatusForbidden})
	}
	if c := r.call(f.id); f.kind == failFrame && c != nil && c.owner == from {
		c.fail(errSecret)
	}
}

// receiveRequest takes a part of a request.
func (r *Router) receiveRequest(from string, f *frame) {
	if f.part > 0 {
		if s := r.senders.request(from, f.id); s != nil {
			s.body.add(f)
		}
		return
	}
	fail := func(status uint32) { r.outbox.add(from, frame{kind: failFrame, id: f.id, part: status}) }
	l, found := r.members.LocateServer(from)
	if !found {
		fail(http.StatusServiceUnavailable)
		return
	}
	if r.peer(l) == nil || !r.received.Enter() {
		fail(http.StatusBadRequest)
		return
	}
	s, known := r.accept(from, f)
	if s == nil {
		if r.received.Leave(); known {
			r.counters.strangers.Add(1)
			return
		}
		fail(http.StatusServiceUnavailable)
		return
	}
	r.counters.received.Add(1)
	go s.serve() // Close waits for it
}

// accept returns the request that a frame begins, nil if it has to be refused. known says that it
// has come before.
func (r *Router) accept(from string, f *frame) (s *served, known bool) {
	h, header, length, rest, err := readRequestHead(f.data)
	if err != nil {
		return nil, false
	}
	s = &served{
		router: r, from: from, id: f.id, wake: make(chan struct{}, 1), done: make(chan struct{}),
		kept: len(f.data) - len(rest) + requestOverhead,
	}
	if taken, known := r.senders.add(s); !taken {
		return nil, known
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if h.within > 0 {
		s.ctx, s.cancel = context.WithTimeout(context.Background(), h.within)
	}
	s.body = newPipe(s)
	s.body.add(&frame{part: 0, last: f.last, data: rest})
	s.req.Header, s.req.ContentLength = header, length
	s.req.Body = http.MaxBytesReader(nil, io.NopCloser(s.body), int64(h.limit))
	h.request(&s.req)
	return s, false
}

// add notes a request of another server. If it is not taken, known says that it has come before.
func (s *senders) add(q *served) (taken, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.ofLocked(q.from)
	switch {
	case !o.accept(q.id):
		return false, true
	case len(o.requests) >= 2*q.router.opts.MaxRequests || !q.router.kept.reserve(q.kept):
		return false, false
	}
	o.requests[q.id] = q
	return true, false
}

// remove forgets a request.
func (s *senders) remove(q *served) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all[q.from].requests, q.id)
	poke(s.left)
}

// serve has this server answer the request.
func (s *served) serve() {
	r := s.router
	defer r.received.Leave()
	ctx := s.ctx
	if s.req.Method == http.MethodGet {
		p := r.polls.add(ctx, s.from)
		defer r.polls.remove(s.from, p)
		ctx = p
	}
	wait := time.AfterFunc(waitAfter, func() { r.outbox.add(s.from, frame{kind: waitFrame, id: s.id}) })
	r.serve(ctx, s)
	wait.Stop()
	s.body.close(errCanceled)
	s.mu.Lock()
	confirm := s.confirm
	s.mu.Unlock()
	if !confirm {
		s.finish(nil)
	}
}

// receive takes what the other server says about the answer.
func (s *served) receive(f *frame) {
	if f.kind == cancelFrame {
		s.body.close(errCanceled)
		s.mu.Lock()
		s.canceled = true
		answered := s.answered
		s.mu.Unlock()
		if s.cancel(); answered {
			s.finish(errCanceled)
		}
		return
	}
	s.mu.Lock()
	s.read = max(s.read, f.part)
	s.mu.Unlock()
	poke(s.wake)
}

// finish ends the request, and says whether the answer has come to the other server. It does
// nothing when it is called again.
func (s *served) finish(err error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	close(s.done)
	sent := s.sent
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.cancel()
	s.body.close(errCanceled)
	r := s.router
	r.kept.release(s.kept)
	r.senders.remove(s)
	if err != nil && !errors.Is(err, errCanceled) {
		r.outbox.add(s.from, frame{kind: failFrame, id: s.id, part: http.StatusBadRequest})
	}
	if sent != nil {
		report(sent, err)
	}
}

// report calls the function of OnSent.
func report(sent func(error), err error) {
	if err == nil {
		sent(nil)
		return
	}
	go sent(err) // ends the session: the goroutine that receives does not wait for it
}

// awaitConfirms waits a while for the confirmations of answers, when the router is closed.
func (r *Router) awaitConfirms(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	for ctx.Err() == nil && len(r.senders.list("")) > 0 {
		select {
		case <-r.senders.left:
		case <-ctx.Done():
		}
	}
	for _, s := range r.senders.list("") {
		s.finish(errConfirm)
	}
}

// dropSender ends the requests of a server that has gone.
func (r *Router) dropSender(from string) {
	for _, s := range r.senders.list(from) {
		s.receive(&frame{kind: cancelFrame})
	}
}
