package sio

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// A pace says whether the handlers of an event are expected to be quick: to return within
// quickCall. They are, once so many calls in a row have been. Then the engine looks after
// the connection more cheaply: see [engine.Worker]. The zero pace is that of a new event.
type pace struct {
	calls atomic.Int32 // that were quick, until they are enough; a slow one takes many away
}

const (
	quickCall         = time.Millisecond
	callsUntilQuick   = 20    // of a new event
	callsAfterSlowOne = 1_000 // of an event whose handler took long
	timedCalls        = 64    // one of so many calls is timed
)

func (p *pace) isQuick() bool { return p.calls.Load() >= callsUntilQuick }

// ran counts a call. Once the handlers are quick, it only reads: all processors share the
// pace.
func (p *pace) ran() {
	if !p.isQuick() {
		p.calls.Add(1)
	}
}

// tookLong notes that a call takes long, before [pace.ran] is called for it.
func (p *pace) tookLong() { p.calls.Store(callsUntilQuick - callsAfterSlowOne) }

// Quick implements [engine.Worker].
func (c *client) Quick() bool { return c.line.Quick() }

// Work implements [engine.Worker]: it runs the client's tasks.
func (c *client) Work(turn uint32) {
	if t, runs := c.line.Work(turn); runs && turn != 0 && t.kind == taskEvent {
		t.endpoint.pace.tookLong() // another turn began because of it
	}
}

// runEvent runs the handler of an event.
func (t *task) runEvent() error {
	p := &t.endpoint.pace
	defer p.ran()
	// The engine does not notice handlers that take some milliseconds now, and were quick before.
	if rand.Uint32()%timedCalls == 0 { //nolint:gosec // it only spreads the cost
		start := sinceStart()
		defer func() {
			if sinceStart()-start > quickCall {
				p.tookLong()
			}
		}()
	}
	if len(t.ctx.ns.server.observers.Load().eventHandled) > 0 {
		return t.runObserved()
	}
	return t.ctx.ns.reportIfMeant(&t.ctx, t.endpoint.run(&t.ctx))
}

// processStart is when the process began.
var processStart = time.Now() //nolint:gochecknoglobals // immutable

// sinceStart is a clock for durations. It reads one clock, where [time.Now] reads two.
func sinceStart() time.Duration { return time.Since(processStart) }
