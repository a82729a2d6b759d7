package forward

import "sync/atomic"

// Stats says what a [Router] has done since it was made, and what it does at the moment.
type Stats struct {
	Forwarded uint64 // requests of clients that other servers were sent
	Received  uint64 // requests of other servers
	Failed    uint64 // of Forwarded: without an answer, because the server was gone or the client was
	Refused   uint64 // requests beyond MaxRequests, and WebSockets beyond MaxTunnels
	Strangers uint64 // requests at Listen without a valid signature

	Pending int // requests that are being forwarded
	Tunnels int // WebSockets that lead to other servers
}

type counters struct {
	forwarded, received, failed, refused, strangers atomic.Uint64
}

// Stats returns the figures of the router.
func (r *Router) Stats() Stats {
	c := &r.counters
	s := Stats{
		Forwarded: c.forwarded.Load(), Received: c.received.Load(), Failed: c.failed.Load(),
		Refused: c.refused.Load(), Strangers: c.strangers.Load(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Pending, s.Tunnels = r.pending, len(r.tunnels)
	return s
}
