package cluster

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// The errors that a server reports beside those of its broker.
var (
	errConnecting = errors.New("cluster: not connected yet")
	errSilent     = errors.New("cluster: the broker does not answer")
)

// A health is whether a link works, and what has to be reported about it.
type health struct {
	mu         sync.Mutex
	since      time.Time
	publishing error // of the last call of Publish
	receiving  error // why packets of others do not arrive
	degraded   error // why something else does not work
	silent     bool  // the server has not heard its own heartbeats
	reported   error // what the application was told last; nil in the beginning
	lost       int   // packets that are to be reported
	reason     error // why the last one was lost, if that is known
	refused    int
	refusal    error // why the last one was refused
}

func (h *health) begin() {
	h.since, h.receiving = time.Now(), errConnecting
}

// sends reports whether packets are sent, and those of others arrive.
func (h *health) sends() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.receiving == nil && h.publishing == nil && !h.silent
}

// errLocked returns why the link does not work.
func (h *health) errLocked() error {
	switch {
	case h.receiving != nil:
		return h.receiving
	case h.publishing != nil:
		return h.publishing
	case h.silent:
		return errSilent
	default:
		return h.degraded
	}
}

// receives reports whether packets of others arrive.
func (h *health) receives() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.receiving == nil
}

func (h *health) noteLost(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost += n
}

// noteReason notes why a packet was lost.
func (h *health) noteReason(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reason = err
}

func (h *health) noteRefused(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused++
	h.refusal = err
}

// change changes the health. It returns whether the application has to be told, and what.
func (h *health) change(f func()) (tell bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.errLocked()
	f()
	after := h.errLocked()
	if (before == nil) != (after == nil) {
		h.since = time.Now()
	}
	if errors.Is(after, errConnecting) || (h.reported == nil) == (after == nil) {
		return false, nil
	}
	h.reported = after
	return true, after
}

func (l *link) setPublishing(err error) {
	if l.ctx.Err() != nil {
		return
	}
	if tell, err := l.health.change(func() { l.health.publishing = err }); tell {
		l.cluster.report(err)
	}
}

func (l *link) setReceiving(err error, missed bool) {
	if l.ctx.Err() != nil {
		return
	}
	tell, now := l.health.change(func() { l.health.receiving = err })
	if missed {
		l.cluster.report(errGap)
	}
	if tell {
		l.cluster.report(now)
	}
}

// errGap is reported after the connection with the broker was lost.
var errGap = errors.New("cluster: messages of other servers may have been missed while the broker was not connected")

// checkHealth finds out whether the broker hangs, and reports what was lost since the last
// time.
func (l *link) checkHealth() {
	waiting, _, since := l.queue.length()
	silent := l.presence.deaf() || waiting > 0 && time.Since(since) > l.cluster.opts.HeartbeatInterval
	if tell, err := l.health.change(func() { l.health.silent = silent }); tell {
		l.cluster.report(err)
	}
	l.health.mu.Lock()
	lost, refused, refusal, reason := l.health.lost, l.health.refused, l.health.refusal, l.health.reason
	l.health.lost, l.health.refused, l.health.refusal, l.health.reason = 0, 0, nil, nil
	l.health.mu.Unlock()
	if lost > 0 {
		l.cluster.report(&LossError{Messages: lost, Err: reason})
	}
	if refused > 0 {
		l.cluster.report(fmt.Errorf("cluster: %d messages from the broker were refused: %w", refused, refusal))
	}
}

// A LossError says that messages of this server did not reach other servers, or may not
// have: the queue was full, the connection failed while they were sent, or the broker does not
// take messages of that size.
type LossError struct {
	Messages int
	Err      error // why the last one of them was lost; nil if that was said already, or is not known
}

// Error implements error.
func (e *LossError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("cluster: %d messages for other servers were lost: %v", e.Messages, e.Err)
	}
	return fmt.Sprintf("cluster: %d messages for other servers were lost", e.Messages)
}

// Unwrap returns Err.
func (e *LossError) Unwrap() error { return e.Err }

// Status implements [adapter.Reporter].
func (c *Cluster) Status() adapter.Status {
	s := adapter.Status{
		Sent: c.counters.sent.Load(), Received: c.counters.received.Load(), Lost: c.counters.lost.Load(),
		Refused: c.counters.refused.Load(), Gaps: c.counters.gaps.Load(),
	}
	c.mu.RLock()
	l := c.link
	c.mu.RUnlock()
	if l == nil {
		s.Err = errConnecting
		return s
	}
	l.health.mu.Lock()
	s.Since, s.Err = l.health.since, l.health.errLocked()
	l.health.mu.Unlock()
	s.Server, s.Healthy, s.Members = l.self, s.Err == nil, l.presence.list()
	s.Queued, s.QueuedBytes, _ = l.queue.length()
	return s
}
