package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// echo is a scenario in which every client has a number of messages in flight, and
// sends another one for each that is answered.
func echo(newScript func(size int) script) scenario {
	return func(ctx context.Context, r *run) { exchanges(ctx, r, r.connect, newScript(r.size)) }
}

// pollingEcho is that over polling.
func pollingEcho(ctx context.Context, r *run) { exchanges(ctx, r, r.poll, textScript(r.size)) }

func exchanges[P peer](ctx context.Context, r *run, connect func(context.Context, int) (P, error), s script) {
	start := make(chan struct{})
	open(ctx, r, connect, func(id int, p P) error {
		d, err := begin(p, id, s)
		if err != nil {
			return err
		}
		<-start
		return r.exchange(d)
	})
	close(start)
	r.finish(ctx)
}

func (r *run) exchange(d *dialogue) error {
	if r.tolerant && d.attachment == nil {
		d.early = &r.flaws
	}
	for range r.inFlight {
		d.ask()
	}
	for d.answered < d.asked {
		if err := d.hear(); err != nil {
			return err
		}
		r.units.Add(1)
		if !r.stop.Load() {
			d.ask()
		}
	}
	r.finished.Add(1)
	return nil
}

// A dialogue is a script between one client and the server.
type dialogue struct {
	script

	peer            peer
	client          int
	asked, answered int
	buf             []byte

	early   *atomic.Int64 // counts answers out of order; nil if they are mistakes
	waiting []int         // requests without an answer, if early is not nil
}

// begin begins a dialogue with a first message: what a server has to prepare for it
// is not measured.
func begin(p peer, client int, s script) (*dialogue, error) {
	d := &dialogue{script: s, peer: p, client: client}
	d.ask()
	return d, d.hear()
}

// ask sends the next request.
func (d *dialogue) ask() {
	d.buf = d.request(d.buf[:0], d.client, d.asked)
	d.peer.send(ws.OpText, d.buf)
	if d.attachment != nil {
		d.buf = d.attachment(d.buf[:0], d.client, d.asked)
		d.peer.send(ws.OpBinary, d.buf)
	}
	if d.early != nil {
		d.waiting = append(d.waiting, d.asked)
	}
	d.asked++
}

// hear waits for the next answer.
func (d *dialogue) hear() error {
	if d.early != nil {
		return d.hearAny()
	}
	d.buf = d.answer(d.buf[:0], d.client, d.answered)
	err := expect(d.peer, ws.OpText, d.buf)
	if err == nil && d.attachment != nil {
		d.buf = d.attachment(d.buf[:0], d.client, d.answered)
		err = expect(d.peer, ws.OpBinary, d.buf)
	}
	d.answered++
	return err
}

// backlog is how many messages at a fixed rate may wait for one client's answers.
const backlog = 64

// echoAtRate sends so many messages a second, however long the answers take, and
// measures how long that is. A message's time begins when it is due, so that what
// delays the sending of others is not lost.
func echoAtRate(ctx context.Context, r *run) {
	s := textScript(r.size)
	var latency times
	due := make([]chan time.Time, r.clients)
	for i := range due {
		due[i] = make(chan time.Time, backlog)
	}
	clients := open(ctx, r, r.connect, func(id int, c *wsClient) error {
		d := dialogue{script: s, peer: c, client: id}
		for {
			if err := d.hear(); err != nil {
				return err
			}
			select {
			case at := <-due[id]:
				latency.add(time.Since(at))
				r.units.Add(1)
			default:
				return errors.New("an answer to nothing")
			}
		}
	})
	var sent int64
	send := func(at time.Time) {
		id, seq := int(sent)%r.clients, int(sent)/r.clients
		sent++
		select {
		case due[id] <- at:
			r.check(clients[id].post(ws.OpText, s.request(nil, id, seq)))
		default:
			r.fail(fmt.Errorf("client %d waits for %d answers", id, backlog))
		}
	}
	r.atRate(ctx, r.warm, send)
	latency.take(r.values)
	from := r.sample(ctx)
	r.atRate(ctx, r.dur, send)
	r.since(ctx, from)
	latency.take(r.values)
	defer r.within("the last answers")()
	for r.units.Load() < sent && ctx.Err() == nil {
		wait(ctx, time.Millisecond)
	}
}

// atRate calls send so often that the rate is kept, in steps of a millisecond.
func (r *run) atRate(ctx context.Context, d time.Duration, send func(due time.Time)) {
	const step = time.Millisecond
	next, end, err := newPace(ctx, step)
	if err != nil {
		r.fail(err)
		return
	}
	defer end()
	start := time.Now()
	sent := 0
	for due := step; due <= d; {
		if err := next(); err != nil {
			if ctx.Err() == nil {
				r.fail(err)
			}
			return
		}
		for ; due <= min(d, time.Since(start)); due += step { // steps that were missed, too
			for ; sent < int(float64(r.rate)*due.Seconds()) && ctx.Err() == nil; sent++ {
				send(start.Add(due))
			}
		}
	}
}
