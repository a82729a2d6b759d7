package engine

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// closeGrace is how long Shutdown waits for read loops after it has closed their
// connections.
const closeGrace = 500 * time.Millisecond

// parallelCloses is how many sessions Shutdown ends at the same time. It is more than
// one because a handler's Close may hang.
const parallelCloses = 64

// Shutdown refuses new sessions, closes all others, and waits until their connections are
// closed. Messages that were sent before are delivered first; the JavaScript server drops
// them. A SessionRouter is closed at the same time. When ctx ends, Shutdown closes the
// connections that are left. It returns the context's error then, half a second later at most.
func (e *Server) Shutdown(ctx context.Context) error {
	sessions := e.refuseSessions()
	loops := e.readLoops.Close()
	routed := e.closeRouter(ctx)
	done := make(chan struct{})
	go func() { // ends with the connections, unless the application's code hangs
		closeAll(sessions)
		<-loops
		<-routed
		<-e.observing.Close()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	cut := e.closeConns(sessions)
	late := time.NewTimer(closeGrace)
	defer late.Stop()
	for _, wanted := range []<-chan struct{}{cut, done} {
		select {
		case <-wanted:
		case <-late.C:
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// refuseSessions has new sessions refused from now on, and returns those that there are.
func (e *Server) refuseSessions() []*Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refusing.Store(true) // under mu, so no session registers after this
	return slices.Collect(maps.Values(e.sessions))
}

// closeAll ends sessions, because the server shuts down.
func closeAll(sessions []*Session) {
	next := make(chan *Session)
	var all sync.WaitGroup
	for range min(parallelCloses, len(sessions)) {
		all.Go(func() {
			for s := range next {
				s.end(ForcedClose, nil, endByShutdown)
			}
		})
	}
	for _, s := range sessions {
		next <- s
	}
	close(next)
	all.Wait()
}

// closeConns closes the connections of these sessions, and those without a session. Each
// call has a goroutine of its own, because the Close of a net.Conn that the application
// made may hang. The channel is closed when all have returned.
func (e *Server) closeConns(sessions []*Session) <-chan struct{} {
	e.mu.Lock()
	e.closingAll = true
	conns := slices.Collect(maps.Keys(e.closingConns))
	e.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range sessions {
		all.Go(s.closeTimedOut) // ends with the connection's Close
	}
	for _, t := range conns {
		all.Go(func() { _ = t.conn.Close() }) // likewise
	}
	done := make(chan struct{})
	go func() { // ends with them
		all.Wait()
		close(done)
	}()
	return done
}
