package main

import (
	"context"
	"fmt"

	"github.com/gobwas/ws"
)

// cycles is a scenario in which so many clients at the same time come and go, over
// and over.
func (r *run) cycles(ctx context.Context, cycle func(ctx context.Context, id int) error) {
	r.cyclic = true
	for worker := range r.clients {
		r.clientsEnd.Go(func() {
			for id := worker; !r.stop.Load(); id += r.clients {
				switch err := r.inTime(ctx, id, cycle); {
				case err == nil:
					r.units.Add(1)
				case r.tolerant && ctx.Err() == nil:
					r.flaws.Add(1)
				default:
					r.fail(fmt.Errorf("cycle %d: %w", id, err))
					return
				}
			}
		})
	}
	r.finish(ctx)
}

func connectCycles(ctx context.Context, r *run) { r.cycles(ctx, r.connectCycle) }

// connectCycle connects, joins the root namespace and closes.
func (r *run) connectCycle(ctx context.Context, id int) error {
	c, err := r.connect(ctx, id)
	if err != nil {
		return err
	}
	return c.close()
}

func upgradeCycles(ctx context.Context, r *run) { r.cycles(ctx, r.upgradeCycle) }

// upgradeCycle opens a session as the JavaScript client does: by polling, and with
// a WebSocket as soon as it can be had. An echo shows that the new transport works.
func (r *run) upgradeCycle(ctx context.Context, id int) error {
	p, err := r.poll(ctx, id)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.ask(); err != nil { // while the other transport is tried
		return err
	}
	c, err := r.webSocket(ctx, id, p.sid)
	if err != nil {
		return err
	}
	defer func() { _ = c.conn.Close() }()
	c.send(ws.OpText, []byte("2probe"))
	if err := expect(c, ws.OpText, []byte("3probe")); err != nil {
		return err
	}
	if err := expect(p, ws.OpText, []byte("6")); err != nil { // the poll ends with a noop
		return err
	}
	c.send(ws.OpText, []byte("5"))
	if _, err := begin(c, id, textScript(r.size)); err != nil {
		return err
	}
	return c.close()
}
