package sio

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// DrainOptions are the settings of [Server.Drain]. A zero value means the default.
type DrainOptions struct {
	// Delay is how long the server goes on as before, except that it is not ready, 0 by
	// default. Set it to the time that your load balancer takes to notice.
	Delay time.Duration

	// Spread is the time over which clients are told to come back, 10 seconds by default.
	// They are told in random order and at even distances, so that the other servers do
	// not get them all at once. A negative Spread tells all at once.
	Spread time.Duration

	// Grace is how long the server waits for a client whose turn has come, 5 seconds by
	// default: as long for handlers that run and acks that are awaited, and then again for
	// the client to read what is left. A negative Grace does not wait.
	Grace time.Duration
}

const (
	defaultDrainSpread = 10 * time.Second
	defaultDrainGrace  = 5 * time.Second
)

// drainShare is the share of the time that the context leaves in which Drain tells the
// clients and waits for them. The rest is for Shutdown.
const drainShare = 0.75

// times returns Spread and Grace, shortened if the context leaves less time.
func (o *DrainOptions) times(ctx context.Context) (spread, grace time.Duration) {
	spread = max(0, cmp.Or(o.Spread, defaultDrainSpread))
	grace = max(0, cmp.Or(o.Grace, defaultDrainGrace))
	end, ok := ctx.Deadline()
	if !ok {
		return spread, grace
	}
	left := drainShare * float64(time.Until(end))
	if all := float64(spread) + 2*float64(grace); all > left {
		share := max(0, left/all)
		spread, grace = time.Duration(share*float64(spread)), time.Duration(share*float64(grace))
	}
	return spread, grace
}

// A drainCall is the call of Drain that does the work. Others wait for it.
type drainCall struct {
	mu       sync.Mutex
	ended    chan struct{} // closed when err is set; nil before the first call
	err      error
	hurry    context.CancelFunc // ends the part before Shutdown, which always calls it
	shutdown bool               // Shutdown has begun
}

// begin reports whether this is the first call. Only that gets a context, for the part
// before Shutdown, which has to be canceled.
func (d *drainCall) begin(ctx context.Context) (unhurried context.Context, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended != nil {
		return nil, false
	}
	d.ended = make(chan struct{})
	unhurried, d.hurry = context.WithCancel(ctx)
	if d.shutdown {
		d.hurry()
	}
	return unhurried, true
}

// shuttingDown ends the part before Shutdown.
func (d *drainCall) shuttingDown() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shutdown = true
	if d.hurry != nil {
		d.hurry()
	}
}

// Drain ends the server without a rush. It is for a process that is told to stop, by
// SIGTERM for example, while others serve on. opts may be nil.
//
//   - [Server.Ready] returns false, and so does [Server.ReadyHandler] for the load balancer.
//   - New clients are refused, with status 503 and the header Retry-After. Neither
//     OnConnectionError nor middleware hears of them.
//   - The connections of the others are closed one after the other over Spread. To
//     clients that is a lost connection, so they come back by themselves, after a random
//     delay, and to another server if a load balancer sends them there. It is not a
//     disconnect by the server, after which they would stay away. A client whose handlers
//     run, or of which an ack is awaited, gets Grace first. OnDisconnect gets
//     [ReasonServerShuttingDown]. An ack that is sent after its handler has returned is
//     not waited for.
//   - Sessions are saved for recovery. With a log in the adapter, as that of Redis streams,
//     clients recover on another server.
//   - At last [Server.Shutdown] ends what is left.
//
// ctx bounds all of it. If its deadline comes before Spread and twice Grace have passed,
// both are shortened to three quarters of the time. When ctx ends, connections are cut, and
// its error is returned within a second, as by Shutdown.
//
// Drain may be called again, also at the same time: later calls wait for the first one. The
// context that ends first cuts the connections. After Shutdown, Drain only waits for
// it. Do not call Drain from a handler, for which it would wait.
func (s *Server) Drain(ctx context.Context, opts *DrainOptions) error {
	s.notReady.Store(true)
	d := &s.drain
	unhurried, first := d.begin(ctx)
	if !first {
		select {
		case <-d.ended:
			return d.err
		case <-ctx.Done():
			return s.Shutdown(ctx)
		}
	}
	defer close(d.ended)
	if opts == nil {
		opts = new(DrainOptions)
	}
	s.tellClients(unhurried, *opts)
	d.err = s.Shutdown(ctx)
	return d.err
}

// tellClients is what Drain does before Shutdown.
func (s *Server) tellClients(ctx context.Context, opts DrainOptions) {
	if opts.Delay > 0 {
		delay := time.NewTimer(opts.Delay)
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		spread, grace := opts.times(ctx)
		s.engine.Drain(ctx, spread, grace)
	}
}

// Ready reports whether the server wants new clients: from [New] until [Server.Drain] or
// [Server.Shutdown] is called.
func (s *Server) Ready() bool { return !s.notReady.Load() }

// Finished implements [engine.Finisher]: no handler runs, and no ack is awaited.
func (c *client) Finished() bool {
	if !c.line.Idle() {
		return false
	}
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	return !slices.ContainsFunc(sockets, (*Socket).awaitsAck)
}
