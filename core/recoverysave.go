package sio

import (
	"context"
	"log/slog"
	"maps"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// releaseSession saves the session of a client whose connection was lost (SIO-CSR-4), or
// gives it up. The socket has left its rooms; history says which.
func (s *Socket) releaseSession(reason *DisconnectError, history rooms.History) {
	r := s.recovery
	if r == nil {
		return
	}
	defer close(r.saved)
	defer s.ns.byPID.CompareAndDelete(r.pid, s)
	if !recoverable(reason.Reason) || r.disconnected.Load() || !s.accepted && r.session == nil {
		return
	}
	session := r.session // that was claimed
	if s.accepted {
		err := rescue.Apart(func() (err error) {
			session, err = s.snapshot(history)
			return err
		})
		if err != nil {
			s.logFailure("saving a session failed", eventDisconnect, err)
			return
		}
	}
	if r.missedSent {
		session.Tried = r.session.From
	}
	s.saveSession(session)
}

// saveSession saves a session, unless the client's connection was closed meanwhile.
func (s *Socket) saveSession(session *adapter.Session) {
	if s.client.noteSaved(s.ns, session) {
		s.ns.saveToLog(session)
	}
}

// saveToLog has the log save a session. It waits for saveTimeout at most.
func (n *Namespace) saveToLog(session *adapter.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	save := func() (struct{}, error) { return struct{}{}, n.log.Save(ctx, session) }
	_, err := within(ctx, save, func(struct{}, error) {})
	if err == nil {
		return
	}
	failed := true
	_ = rescue.Apart(func() error { // if its methods fail, the log has failed
		failed = !isAny(err, adapter.ErrNotKept)
		return nil
	})
	if failed {
		n.logFailure("saving a session failed", err)
		return
	}
	n.server.debug("session not kept", slog.String("ns", n.name), errAttr(err))
}

// within calls f, a function of the application, and waits until ctx ends at most.
// Afterwards, late gets the result of f.
func within[T any](ctx context.Context, f func() (T, error), late func(T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result)
	go func() { // ends with f
		var v T
		rescue.Do(func() (err error) {
			v, err = f()
			return err
		}, func(err error) {
			select {
			case done <- result{v, err}:
			case <-ctx.Done():
				late(v, err)
			}
		})
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// snapshot returns the session of the socket.
func (s *Socket) snapshot(history rooms.History) (*adapter.Session, error) {
	data, err := s.dataJSON()
	session := &adapter.Session{
		ID: s.id, PID: s.recovery.pid, Data: data,
		From: s.recovery.connectedAt, Complete: history.Complete, Left: history.Left,
	}
	if was := s.recovery.session; was != nil {
		session.From = was.From
	}
	for _, stay := range history.Stays {
		session.Rooms = append(session.Rooms, adapter.Stay(stay))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session.Local = &localState{maps.Clone(s.values), s.recoverableHooks(), s.client.currentGroup()}
	return session, err
}

// A localState is the part of a session that only a log in this server's memory can
// keep.
type localState struct {
	values map[any]any
	hooks  []hook
	group  *sessionGroup
}

// recoverable reports whether a client may come back after a disconnect for this reason.
func recoverable(r Reason) bool {
	switch r {
	case ReasonTransportError, ReasonTransportClose, ReasonForcedClose, ReasonPingTimeout, ReasonServerShuttingDown:
		return true
	case ReasonParseError, ReasonServerNamespaceDisconnect, ReasonClientNamespaceDisconnect:
		return false
	}
	return false
}

// keepsSession reports whether the session of an ended socket is kept.
func (s *Socket) keepsSession() bool {
	return s.recovery != nil && (s.accepted || s.Recovered()) && !s.recovery.disconnected.Load() &&
		recoverable(s.disconnectError().Reason)
}

// keepsEvents reports whether events for an ended socket are kept, because its client
// may come back.
func (s *Socket) keepsEvents() bool {
	return s.state.Load() == stateDisconnected && s.recovery != nil && !s.recovery.disconnected.Load() &&
		recoverable(s.disconnectError().Reason)
}

// emitLogged emits to one client through its own room, so that the event gets into the
// log (SIO-CSR-3).
func (s *Socket) emitLogged(event string, args []any) error {
	if err := s.checkConnected(); err != nil && !s.keepsEvents() {
		return err
	}
	return s.Self().DropOldest(0).Emit(event, args...) // its callers know the default
}

// doForAbsent applies a message to a client that may come back. If the client cannot
// come back, it returns err.
func (s *Socket) doForAbsent(err error, m *adapter.Message) error {
	if s.ns.log == nil || !s.keepsEvents() {
		return err
	}
	if m.Kind == adapter.Disconnect {
		s.recovery.disconnected.Store(true)
	}
	m.Target, m.Rooms = adapter.Target{Rooms: []string{s.id}}, cloneStrings(m.Rooms)
	m.Local = s.ns.server.opts.logProvider() == nil // otherwise it may come back to another server
	return s.ns.distribute(m)
}
