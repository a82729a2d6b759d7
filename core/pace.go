package sio

import (
	"sync/atomic"
	"time"
)

// A pace says whether the handlers of an event are expected to be quick: to return within
// a millisecond. They are, once they have been so for a while. Then the engine looks after
// the connection more cheaply: see [engine.Worker].
type pace struct {
	left atomic.Int32 // how many calls have to be quick first
}

const (
	callsUntilQuick   = 20    // of a new event
	callsAfterSlowOne = 1_000 // of an event whose handler took long
	timedEvents       = 64    // one of so many events is timed
	quickCall         = time.Millisecond
)

func (p *pace) isQuick() bool { return p.left.Load() <= 0 }

// ran counts a call. If the handlers are quick, it writes to no memory, which all
// processors share.
func (p *pace) ran() {
	if p.left.Load() > 0 {
		p.left.Add(-1)
	}
}

// tookLong notes that a call takes long.
func (p *pace) tookLong() { p.left.Store(callsAfterSlowOne) }

// Quick implements [engine.Worker].
func (c *client) Quick() bool { return c.line.Quick() }

// Work implements [engine.Worker]: it runs the client's tasks.
func (c *client) Work(turn uint32) {
	if t, runs := c.line.Work(turn); runs && turn != 0 && t.kind == taskEvent {
		t.endpoint.pace.tookLong() // another turn began because of it
	}
}

// runPaced runs the handler of an event.
func (t *task) runPaced() error {
	p := &t.endpoint.pace
	if t.is(flagTimed) {
		start := sinceStart()
		defer func() {
			if sinceStart()-start > quickCall {
				p.tookLong()
			}
		}()
	}
	defer p.ran()
	if len(t.ctx.ns.server.observers.Load().eventHandled) > 0 {
		return t.runObserved()
	}
	return t.ctx.ns.reportIfMeant(&t.ctx, t.endpoint.run(&t.ctx))
}
