package forward

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/engine"
)

// A call is a request that is being forwarded over the broker. Its goroutine is that of the HTTP
// server. What the other server says comes on that of the broker, which only notes it.
type call struct {
	router *Router
	owner  string // id of the server that has the session
	id     uint64
	wake   chan struct{} // has an element if something has come

	mu       sync.Mutex
	heard    bool
	read     uint32 // parts of the request that the other server has read
	parts    uint32 // parts of the answer that have come
	acked    uint32 // of these, the other server knows
	answer   engine.Response
	length   int // of its body
	reserved int
	ended    bool
	err      error // when it has ended: why there is no answer
}

const (
	// silence is how long a server may say nothing about a request that it was sent, or
	// about a part of it. Then the broker does not send that any more.
	silence = cluster.RelayTimeout + time.Second

	// waitAfter is when a server says that a request has come, if there is no answer yet.
	waitAfter = time.Second
)

var (
	errSilent  = &engine.HTTPError{Status: http.StatusServiceUnavailable, Err: errors.New("forward: the other server has not answered over the broker")}
	errRefused = &engine.HTTPError{Status: http.StatusServiceUnavailable, Err: errors.New("forward: the other server forwards too much, or shuts down")}
	errPart    = errors.New("forward: a part of the answer was lost")
	errAnswer  = errors.New("forward: there is no memory for the answer")

	// errUpgrade is that of a WebSocket. Clients stay with polling.
	errUpgrade = &engine.HTTPError{Status: http.StatusServiceUnavailable, Err: errors.New("forward: no WebSocket is connected through over the broker")}
)

// errHangUp is the error of a call whose client is to get no answer.
var errHangUp = errors.New("forward: the other server hangs up")

// calls are those of a router.
type calls struct {
	mu   sync.Mutex
	last uint64 // id
	all  map[uint64]*call
}

func (r *Router) newCall(owner string) *call {
	c := &call{router: r, owner: owner, wake: make(chan struct{}, 1)}
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	r.calls.last++
	c.id = r.calls.last
	r.calls.all[c.id] = c
	return c
}

func (r *Router) call(id uint64) *call {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	return r.calls.all[id]
}

func (c *call) close() {
	c.router.calls.mu.Lock()
	delete(c.router.calls.all, c.id)
	c.router.calls.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.router.kept.release(c.reserved)
	c.reserved = 0
}

// receive takes what the other server says.
func (c *call) receive(f *frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.heard = true
	switch f.kind { //nolint:exhaustive // the others are for the server that has the session
	case requestAckFrame:
		c.read = max(c.read, f.part)
	case failFrame:
		c.endLocked(failure(f.part))
	case answerFrame:
		c.receivePartLocked(f)
	default:
	}
	poke(c.wake)
}

// failure returns the error for a failFrame.
func failure(status uint32) error {
	switch status {
	case 0:
		return errHangUp
	case http.StatusBadRequest:
		return engine.ErrNoSession
	default:
		return errRefused
	}
}

func (c *call) endLocked(err error) { c.ended, c.err = true, err }

// fail ends the call.
func (c *call) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.endLocked(err)
		poke(c.wake)
	}
}

func (c *call) receivePartLocked(f *frame) {
	if f.part != c.parts {
		c.endLocked(errPart)
		return
	}
	data := f.data
	if f.part == 0 {
		var err error
		if c.answer, c.length, data, err = readAnswerHead(f.data); err != nil {
			c.endLocked(err)
			return
		}
		if !c.router.kept.reserve(c.length) {
			c.endLocked(errAnswer)
			return
		}
		c.reserved = c.length
	}
	if c.parts++; c.answer.Body == nil {
		c.answer.Body = data
	} else {
		c.answer.Body = append(c.answer.Body, data...)
	}
	switch n := len(c.answer.Body); {
	case n > c.length, f.last && n < c.length:
		c.endLocked(errPart)
	case f.last:
		if f.confirm {
			c.router.outbox.confirm(c.owner, c.id)
		}
		c.endLocked(nil)
	case c.parts-c.acked >= window/2:
		c.acked = c.parts
		c.router.outbox.add(c.owner, frame{kind: answerAckFrame, id: c.id, part: c.parts})
	}
}

// state returns how far the call is.
func (c *call) state() (heard bool, read uint32, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard, c.read, c.ended
}

// result returns the answer of a call that has ended.
func (c *call) result() (engine.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answer, c.err
}

// exchangeOverBroker is [route.exchange] over the broker.
func (t route) exchangeOverBroker(ctx context.Context, x engine.Exchange) error {
	r, req := t.router, x.Request()
	if req.ContentLength > int64(r.engine.MaxHTTPBufferSize) {
		return answer(x, engine.Response{Status: http.StatusRequestEntityTooLarge})
	}
	h := headOf(req)
	h.setTime(ctx)
	h.limit = r.engine.MaxHTTPBufferSize
	in := r.bodyOf(req, x)
	first, err := appendRequestHead(nil, &h, forwardable(req.Header), req.ContentLength)
	if err != nil {
		return &engine.HTTPError{Status: http.StatusRequestHeaderFieldsTooLarge, Err: err}
	}
	c := r.newCall(t.peer.location.Server)
	defer c.close()
	err = c.converse(ctx, first, in)
	fault := in.stop()
	if err == nil {
		response, err := c.result()
		if err == nil {
			response.Header = answerHeader(response.Header)
			return answer(x, response)
		}
		return t.failed(x, c, err)
	}
	r.outbox.add(c.owner, frame{kind: cancelFrame, id: c.id})
	if fault != nil {
		hangUp(x)
		return nil
	}
	return err
}

// failed returns the error of a call that has ended without an answer.
func (t route) failed(x engine.Exchange, c *call, err error) error {
	switch {
	case errors.Is(err, errHangUp):
		hangUp(x)
		return nil
	case errors.Is(err, errPart), errors.Is(err, errAnswer), errors.Is(err, errFrame):
		t.router.outbox.add(c.owner, frame{kind: cancelFrame, id: c.id}) // which ends the session of a poll
	}
	return err
}

// converse sends the request and waits until the call has ended.
func (c *call) converse(ctx context.Context, first []byte, in *body) error {
	stop := make(chan struct{})
	defer close(stop)
	var chunks <-chan chunk
	head := frame{kind: requestFrame, id: c.id, data: first, last: in == nil}
	if in != nil {
		chunks = in.chunks(partSize-len(first), stop)
		early := time.NewTimer(bodyWait)
		defer early.Stop()
		select {
		case k := <-chunks:
			head.data, head.last = append(head.data, k.data...), k.last
			if k.err != nil {
				return errors.Join(k.err, c.send(context.WithoutCancel(ctx), &head))
			}
		case <-early.C:
		case <-ctx.Done(): // the session ends, as it does without forwarding
			return errors.Join(ctx.Err(), c.send(context.WithoutCancel(ctx), &head))
		}
	}
	limit := time.NewTimer(silence)
	defer limit.Stop()
	if err := c.send(ctx, &head); err != nil {
		return err
	}
	return c.run(ctx, chunks, head.last, limit)
}

// send sends a part of the request.
func (c *call) send(ctx context.Context, f *frame) error {
	limited, cancel := context.WithTimeout(ctx, cluster.RelayTimeout)
	defer cancel()
	err := c.router.send(limited, c.owner, f)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return errSilent
	}
	return err
}

// run sends the other parts of the request, and waits.
func (c *call) run(ctx context.Context, chunks <-chan chunk, last bool, limit *time.Timer) error {
	sent := uint32(1)
	for {
		heard, read, ended := c.state()
		if ended {
			return nil
		}
		next := chunks
		if last || sent-read >= window {
			next = nil
		}
		if heard && (last || next != nil) {
			limit.Stop() // it waits for the client, or for the answer
		}
		select {
		case <-c.wake:
		case k := <-next:
			if k.err != nil {
				return k.err
			}
			f := frame{kind: requestFrame, id: c.id, part: sent, data: k.data, last: k.last}
			if err := c.send(ctx, &f); err != nil {
				return err
			}
			sent, last = sent+1, k.last
			limit.Reset(silence)
		case <-limit.C:
			return errSilent
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
