package forward

import (
	"context"
	"net/http"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// Request implements [engine.Exchange].
func (s *served) Request() *engine.Request { return &s.req }

// Values implements [engine.Exchange].
func (*served) Values() context.Context { return context.Background() }

// Upgrade implements [engine.Exchange].
func (*served) Upgrade(http.Header, func(engine.Upgraded) func()) error { return errTunnel }

// CancelRead implements [engine.Aborter].
func (s *served) CancelRead() { s.body.close(errCanceled) }

// HangUp implements [engine.Aborter].
func (s *served) HangUp() {
	s.router.outbox.add(s.from, frame{kind: failFrame, id: s.id})
}

// SendWithin implements [engine.Sender].
func (s *served) SendWithin(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now().Add(d)
	if s.ended || !s.deadline.IsZero() && !at.Before(s.deadline) {
		return
	}
	s.deadline = at
	if s.timer != nil {
		s.timer.Reset(d)
		return
	}
	s.timer = time.AfterFunc(d, func() { s.finish(errConfirm) })
}

// OnSent implements [engine.Sender].
func (s *served) OnSent(f func(err error)) {
	s.mu.Lock()
	ended := s.ended
	s.sent = f
	s.mu.Unlock()
	if ended {
		report(f, errConfirm)
	}
}

// Respond implements [engine.Exchange].
func (s *served) Respond(res engine.Response) error {
	s.mu.Lock()
	s.answered = true
	s.confirm = s.req.Method == http.MethodGet && res.Status == http.StatusOK
	confirm, canceled := s.confirm, s.canceled
	s.mu.Unlock()
	s.SendWithin(confirmTimeout)
	err := errCanceled
	if !canceled {
		err = s.respond(&res, confirm)
	}
	if err != nil {
		s.finish(err)
	}
	return err
}

// respond sends the parts of the answer.
func (s *served) respond(res *engine.Response, confirm bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	data, err := appendAnswerHead(nil, res)
	if err != nil {
		return err
	}
	for part, rest := uint32(0), res.Body; ; part++ {
		n := min(len(rest), partSize-len(data))
		data = append(data, rest[:n]...)
		rest = rest[n:]
		if err := s.awaitWindow(part); err != nil {
			return err
		}
		f := frame{kind: answerFrame, id: s.id, part: part, data: data, last: len(rest) == 0, confirm: confirm}
		if err := s.router.send(ctx, s.from, &f); err != nil || f.last {
			return err
		}
		data = data[:0]
	}
}

// awaitWindow waits until a part of the answer may be sent.
func (s *served) awaitWindow(part uint32) error {
	for {
		s.mu.Lock()
		open, ended := part-s.read < window, s.ended
		s.mu.Unlock()
		switch {
		case ended:
			return errCanceled
		case open:
			return nil
		}
		select {
		case <-s.wake:
		case <-s.done:
		}
	}
}
