package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gobwas/ws"
)

// echo is a scenario in which every client has a number of messages in flight, and
// sends another one for each that is answered.
func echo(newScript func(size int) script) scenario {
	return func(ctx context.Context, r *run) error {
		return exchanges(ctx, r, r.connect, newScript(r.size))
	}
}

// pollingEcho is that over polling.
func pollingEcho(ctx context.Context, r *run) error {
	return exchanges(ctx, r, r.poll, textScript(r.size))
}

func exchanges[P peer](ctx context.Context, r *run, connect func(context.Context, int) (P, error), s script) error {
	start := make(chan struct{})
	_, err := open(ctx, r, connect, func(id int, p P) error {
		<-start
		return r.exchange(p, id, s)
	})
	close(start)
	if err != nil {
		return err
	}
	return r.finish(ctx)
}

func (r *run) exchange(p peer, id int, s script) error {
	d := dialogue{script: s, peer: p, client: id}
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
	return nil
}

// A dialogue is a script between one client and the server.
type dialogue struct {
	script

	peer            peer
	client          int
	asked, answered int
	buf             []byte
}

// ask sends the next request.
func (d *dialogue) ask() {
	d.buf = d.request(d.buf[:0], d.client, d.asked)
	d.peer.send(ws.OpText, d.buf)
	if d.attachment != nil {
		d.buf = d.attachment(d.buf[:0], d.client, d.asked)
		d.peer.send(ws.OpBinary, d.buf)
	}
	d.asked++
}

// hear waits for the next answer.
func (d *dialogue) hear() error {
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
func echoAtRate(ctx context.Context, r *run) error {
	s := textScript(r.size)
	var latency times
	due := make([]chan time.Time, r.clients)
	for i := range due {
		due[i] = make(chan time.Time, backlog)
	}
	clients, err := open(ctx, r, r.connect, func(id int, c *wsClient) error {
		d := dialogue{script: s, peer: c, client: id}
		for {
			if err := d.hear(); err != nil {
				return err
			}
			latency.add(time.Since(<-due[id]))
			r.units.Add(1)
		}
	})
	if err != nil {
		return err
	}
	sent := 0
	send := func(at time.Time) error {
		id, seq := sent%r.clients, sent/r.clients
		sent++
		select {
		case due[id] <- at:
			return clients[id].post(ws.OpText, s.request(nil, id, seq))
		default:
			return fmt.Errorf("client %d waits for %d answers", id, backlog)
		}
	}
	if err := r.atRate(ctx, r.warm, send); err != nil {
		return err
	}
	latency.take()
	from, err := r.sample()
	if err != nil {
		return err
	}
	if err := r.atRate(ctx, r.dur, send); err != nil {
		return err
	}
	if err := r.since(from); err != nil {
		return err
	}
	r.values["p50_us"], r.values["p99_us"] = latency.take()
	defer r.within("the last answers")()
	for err == nil && r.units.Load() < int64(sent) {
		err = wait(ctx, time.Millisecond)
	}
	return err
}

// atRate calls send so often that the rate is kept, in steps of a millisecond.
func (r *run) atRate(ctx context.Context, d time.Duration, send func(due time.Time) error) error {
	const step = time.Millisecond
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	sent := 0
	for at, end := time.Now(), time.Now().Add(d); at.Before(end); {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		for ; time.Since(at) >= step; at = at.Add(step) { // steps that were missed, too
			target := int(float64(r.rate) * (d - end.Sub(at.Add(step))).Seconds())
			for ; sent < target; sent++ {
				if err := send(at.Add(step)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
