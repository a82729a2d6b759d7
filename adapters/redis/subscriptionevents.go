package redisadapter

import (
	"context"
	"time"
)

// readyTimeout is how long publishing waits for subscriptions.
const readyTimeout = 5 * time.Second

// awaitReady waits until the subscriptions are in effect, but not for long. When Redis comes
// back, servers should subscribe before they send what has waited: then they miss less of
// each other's (CAP-F-23).
func (s *subscriptions) awaitReady(ctx context.Context) error {
	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()
	select {
	case <-ready:
		return nil
	default:
	}
	timer := time.NewTimer(readyTimeout)
	defer timer.Stop()
	select {
	case <-ready:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// since says since when the subscription to a channel is in effect.
func (s *subscriptions) since(channel uint32) (at time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.hashes[channel]
	if sub == nil || !sub.confirmed {
		return at, false
	}
	return sub.at, true
}

// message implements [linkOwner].
func (s *subscriptions) message(t target, channel, payload []byte) { s.deliver(t, channel, payload) }

// refused implements [linkOwner].
func (s *subscriptions) refused(err error) { s.in.Refused(err) }

// confirmed implements [linkOwner].
func (s *subscriptions) confirmed(l *link, t topic) {
	s.mu.Lock()
	sub := s.topics[t]
	if sub == nil || sub.link != l || sub.confirmed {
		s.mu.Unlock()
		return
	}
	sub.confirmed, sub.at = true, time.Now()
	s.foundLocked(sub)
	if g := sub.group; sub.counts {
		if g.missing--; g.missing == 0 && g.namespace != "" {
			s.notices.add(func() { s.in.Subscribed(g.namespace) })
		}
	}
	s.evaluateLocked()
	s.mu.Unlock()
	s.notices.flush()
}

// moved implements [linkOwner].
func (s *subscriptions) moved(l *link, t topic, err error) bool {
	addr, ok := s.nodes.moved(s.ctx, l.addr, t.name, err)
	if !ok {
		return false
	}
	s.mu.Lock()
	if sub := s.topics[t]; sub != nil && sub.link == l && s.ctx.Err() == nil {
		s.placeLocked(t, sub, addr)
	}
	s.evaluateLocked()
	s.mu.Unlock()
	s.notices.flush()
	return true
}

// gone implements [linkOwner].
func (s *subscriptions) gone(l *link, t topic) {
	s.mu.Lock()
	if sub := s.topics[t]; sub != nil && sub.link == l {
		s.unconfirmLocked(sub)
	}
	s.evaluateLocked()
	s.mu.Unlock()
	s.notices.flush()
}

// up implements [linkOwner].
func (s *subscriptions) up(l *link) {
	s.mu.Lock()
	if s.links[l.addr] == l {
		delete(s.failed, l.addr)
	}
	s.evaluateLocked()
	s.mu.Unlock()
	s.notices.flush()
}

// down implements [linkOwner].
func (s *subscriptions) down(l *link, err error) {
	s.mu.Lock()
	for _, sub := range s.topics {
		if sub.link == l {
			s.unconfirmLocked(sub)
		}
	}
	current := s.links[l.addr] == l
	s.wakeLocked()
	s.mu.Unlock()
	if current {
		s.fail(l.addr, err)
	}
}

// fail notes that a link is down.
func (s *subscriptions) fail(addr string, err error) {
	s.mu.Lock()
	s.failed[addr] = err
	s.evaluateLocked()
	s.mu.Unlock()
	s.notices.flush()
}

// evaluateLocked tells the cluster when packets arrive no more, or again.
func (s *subscriptions) evaluateLocked() {
	var why error
	fresh := false
	for _, err := range s.failed {
		if err == nil {
			fresh = true // a link that was never up: only new subscriptions wait for it
		} else {
			why = err
		}
	}
	if why == nil && s.lost > 0 {
		why = errMoved
	}
	switch {
	case why != nil && s.state != disconnected && s.state != failedAtOnce:
		if s.state == connected {
			s.ready = make(chan struct{})
			s.state = disconnected
		} else {
			s.state = failedAtOnce
		}
		s.notices.add(func() { s.in.Disconnected(why) })
	case why == nil && !fresh && s.state != connected && len(s.links) > 0:
		missed := s.state == disconnected
		s.state = connected
		close(s.ready)
		s.notices.add(func() { s.in.Connected(missed) })
	}
}
