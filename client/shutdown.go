package sioclient

import (
	"context"
	"fmt"
	"slices"
)

// Shutdown disconnects all sockets for good, as [Socket.Disconnect] does, and waits until
// the connection is closed. Call it before the program ends, with a context that limits
// how long it waits. What was emitted before is sent, with one exception: without
// Options.Retries, events that wait for a connection are not.
//
// With Options.Retries, Shutdown first waits until the server has acknowledged what was
// emitted before. Meanwhile the client goes on as usual, and connects again if it has to.
// Shutdown stops waiting when ctx ends, when the client has given the events up, and when
// a socket is disconnected and does not connect again. If events are left then, the error
// is [ErrUnacknowledged] with their number, also if ctx has ended. The server may have got
// the first one of each socket. They stay, and are sent if their socket connects again,
// except those that were given up.
//
// If ctx ends before the connection is closed, the error is that of ctx.
func (m *Manager) Shutdown(ctx context.Context) error {
	left := m.awaitRetried(ctx)
	for _, s := range m.allSockets() {
		s.Disconnect()
	}
	err := m.awaitClosed(ctx)
	if left == 0 {
		return err
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return fmt.Errorf("%w: %d left", ErrUnacknowledged, left)
	}
	return fmt.Errorf("%w: %d left: %w", ErrUnacknowledged, left, err)
}

func (m *Manager) allSockets() []*Socket {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sockets)
}

// awaitClosed waits until the last connection is closed.
func (m *Manager) awaitClosed(ctx context.Context) error {
	m.mu.Lock()
	last := m.last
	m.mu.Unlock()
	if last == nil {
		return nil
	}
	select {
	case <-last.Done():
		m.closeIdle()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A debt is the events of one socket that Shutdown waits for.
type debt struct {
	s      *Socket
	events []*retried // those that were not over at the last look, and maybe others
	failed int        // those that were given up since
}

// awaitRetried waits until the events that are kept to be sent again have been acknowledged,
// and returns how many were not.
func (m *Manager) awaitRetried(ctx context.Context) (left int) {
	debts := m.debts()
	if len(debts) == 0 {
		return 0
	}
	m.waiting(1) // so that acknowledgements are read although handlers are slow
	defer m.waiting(-1)
	for settled := m.nextSettled(debts); settled != nil; settled = m.nextSettled(debts) {
		select {
		case <-settled:
			continue
		case <-ctx.Done():
		}
		break
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range debts {
		left += d.leftLocked()
	}
	return left
}

// debts returns what is kept to be sent again, for each socket that has such events.
func (m *Manager) debts() (all []*debt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sockets {
		if len(s.retries) > 0 {
			all = append(all, &debt{s: s, events: slices.Clone(s.retries)})
		}
	}
	return all
}

// nextSettled returns a channel that is closed when another look at the debts is worth it,
// nil if nothing can be acknowledged any more.
func (m *Manager) nextSettled(debts []*debt) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range debts {
		if !d.openLocked() {
			continue
		}
		if m.settled == nil {
			m.settled = make(chan struct{})
		}
		return m.settled
	}
	return nil
}

// openLocked drops the events at the front that are over, and reports whether others can
// still be acknowledged.
func (d *debt) openLocked() bool {
	for len(d.events) > 0 && d.events[0].over {
		if d.events[0].givenUp {
			d.failed++
		}
		d.events = d.events[1:]
	}
	return len(d.events) > 0 && d.s.willSendLocked()
}

// leftLocked returns how many events were not acknowledged.
func (d *debt) leftLocked() int {
	left := d.failed
	for _, r := range d.events {
		if !r.over || r.givenUp {
			left++
		}
	}
	return left
}

// willSendLocked reports whether the socket is connected, or the client tries to connect it
// by itself.
func (s *Socket) willSendLocked() bool {
	m := s.m
	switch {
	case !s.active:
		return false
	case m.open:
		return s.connected || s.asked
	default:
		return m.conn != nil || m.reconnecting
	}
}

// tellShutdownLocked wakes calls of Shutdown: an event is over, or a socket may have become
// one that does not connect by itself.
func (m *Manager) tellShutdownLocked() {
	if m.settled != nil {
		close(m.settled)
		m.settled = nil
	}
}
