package engine

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// closeGrace is how long Shutdown waits for connections that it has cut.
const closeGrace = 500 * time.Millisecond

// parallelCloses is how many sessions Shutdown ends at the same time: more than one, because
// the application's code may hang in any of them.
const parallelCloses = 64

// Shutdown refuses new sessions and closes all others, behind what was sent to
// them; the reference drops that (EIO-CL-8). It waits until their connections
// are done. Those that are not done when ctx ends are cut off, and it returns the
// context's error: soon, whatever hangs.
func (e *Server) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	loops := e.readLoops.Close() // under mu: no session registers after we looked
	sessions := slices.Collect(maps.Values(e.sessions))
	e.mu.Unlock()
	done := make(chan struct{})
	go func() { // ends with the connections, unless the application's code hangs
		closeAll(sessions)
		<-loops
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

// closeAll ends sessions, because the server goes away.
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

// closeConns closes the connections that are left, of these sessions and of none. Each has
// a goroutine: the Close of one that the application made may hang. The channel is
// closed when all have returned.
func (e *Server) closeConns(sessions []*Session) <-chan struct{} {
	e.mu.Lock()
	e.closingAll = true
	strays := slices.Collect(maps.Keys(e.closingConns))
	e.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range sessions {
		all.Go(s.closeTimedOut) // ends with the connection's Close
	}
	for _, t := range strays {
		all.Go(func() { _ = t.conn.Close() }) // likewise
	}
	done := make(chan struct{})
	go func() { // ends with them
		all.Wait()
		close(done)
	}()
	return done
}
