package sio

import (
	"context"
	"maps"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// release keeps the session of a client whose connection was lost (SIO-CSR-4),
// or lets go of it. The socket is no longer in its rooms: visit is how it was.
func (s *Socket) release(why *DisconnectError, visit rooms.History) {
	r := s.recovery
	if r == nil {
		return
	}
	defer close(r.done)
	defer s.ns.byPID.CompareAndDelete(r.pid, s)
	if !recoverable(why.Reason) || r.kicked.Load() || !s.accepted && r.session == nil {
		return
	}
	session := r.session // that was claimed
	if s.accepted {
		err := rescue.Apart(func() (err error) {
			session, err = s.snapshot(visit)
			return err
		})
		if err != nil {
			s.logFailure("saving a session failed", eventDisconnect, err)
			return
		}
	}
	if r.sent {
		session.Tried = r.session.From
	}
	s.save(session)
}

// save keeps a session, unless the client's connection was closed meanwhile.
func (s *Socket) save(session *adapter.Session) {
	if s.client.mayWait(s.ns, session) {
		s.ns.save(session)
	}
}

// save has the log keep a session. Whatever that does, it takes its time and no
// longer.
func (n *Namespace) save(session *adapter.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	save := func() (struct{}, error) { return struct{}{}, n.log.Save(ctx, session) }
	_, err := within(ctx, save, func(struct{}, error) {})
	if err != nil {
		n.logFailure("saving a session failed", err)
	}
}

// within calls f, which belongs to the application, and returns when ctx ends, even
// if f does not. What f returns after that goes to late.
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

// snapshot returns what the client would have to find again.
func (s *Socket) snapshot(visit rooms.History) (*adapter.Session, error) {
	data, err := s.dataJSON()
	session := &adapter.Session{
		ID: s.id, PID: s.recovery.pid, Data: data,
		From: s.recovery.from, Complete: visit.Complete, Left: visit.Left,
	}
	if was := s.recovery.session; was != nil {
		session.From = was.From
	}
	for _, stay := range visit.Stays {
		session.Rooms = append(session.Rooms, adapter.Stay(stay))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session.Local = &keepsake{maps.Clone(s.values), s.lasting(), s.client.currentGroup()}
	return session, err
}

// A keepsake is what a log in this server's memory keeps of a socket beyond what
// others could.
type keepsake struct {
	values map[any]any
	hooks  []hook
	group  *sessionGroup
}
