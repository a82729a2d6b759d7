package sio

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync/atomic"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/rescue"
)

// Recovered reports whether the client continues a session whose connection was
// lost. It is known in the connect chain already, if that runs at all.
func (s *Socket) Recovered() bool { return s.recovery != nil && s.recovery.session != nil }

// A recovery is the state of a socket that may be recovered. It exists if the namespace
// has a log.
type recovery struct {
	pid   string        // the client's private id
	saved chan struct{} // closed when another socket can take over the session

	session      *adapter.Session // that this socket continues, or nil
	connectedAt  string           // where the socket has connected, if it continues none
	missedSent   bool             // the client was sent something that it missed
	disconnected atomic.Bool      // the server has disconnected the socket: it is not to come back
}

// Why sessions are not recovered, or connections ended.
var (
	errReplaced         = errors.New("the client has connected again")
	errDisconnectedAway = errors.New("the server has disconnected the client while it was away")
	errNothingTaken     = errors.New("the client took nothing of what it missed when it came back before")
	errRoomsForgotten   = errors.New("the client left more rooms since its last event than are known")
)

// prepareRecovery gives the socket a private id: a new one, or that of the session that
// the client wants to continue. It is part of the first task. So a later socket with
// that id can find this one.
func (s *Socket) prepareRecovery() {
	if s.ns.log == nil || s.client.isRevision4() {
		return
	}
	s.recovery = &recovery{pid: engine.NewID(), saved: make(chan struct{})}
	if !s.claimSession() {
		s.ns.byPID.Store(s.recovery.pid, s)
	}
	s.client.joinGroup(new(sessionGroup))
}

// claimSession looks for the session that the client wants to continue (SIO-CSR-5). It
// reports whether the socket continues it.
func (s *Socket) claimSession() bool {
	var want struct {
		PID    string `json:"pid"`
		Offset string `json:"offset"`
	}
	auth, _ := s.authPayload()
	if json.Unmarshal(auth, &want) != nil || want.PID == "" || want.Offset == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(s.Context(), claimTimeout)
	defer cancel()
	if !s.takePID(ctx, want.PID) {
		s.observeRecovery(context.Cause(ctx), RecoveryClientGone)
		return false
	}
	session, err := s.ns.claimFromLog(ctx, want.PID, want.Offset)
	if err == nil && session == nil {
		err = adapter.ErrUnknownSession // some logs report it so
	}
	if err == nil {
		err = rescue.Apart(func() (err error) {
			session, err = s.checkSession(ctx, session, want.Offset)
			return err
		})
	}
	if err != nil {
		s.ns.byPID.CompareAndDelete(want.PID, s)
		s.notRecovered(err)
		return false
	}
	s.id = session.ID
	s.recovery.pid, s.recovery.session = want.PID, session
	s.restoreValues(session)
	return true
}

// claimFromLog takes a session out of the log. If the log answers too late, the session
// is saved again.
func (n *Namespace) claimFromLog(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	claim := func() (*adapter.Session, error) { return n.log.Claim(ctx, pid, offset) }
	return within(patient, claim, func(session *adapter.Session, err error) { //nolint:contextcheck // ctx has ended
		if err == nil {
			n.saveToLog(session)
		}
	})
}

// isNotRecovered reports whether an error of the application matches ErrNotRecovered.
func isNotRecovered(err error) bool {
	is := false
	_ = rescue.Apart(func() error { // if the error's methods fail, it says nothing
		is = errors.Is(err, ErrNotRecovered)
		return nil
	})
	return is
}

// notRecovered logs and reports why a client does not continue its session.
func (s *Socket) notRecovered(err error) {
	s.ns.server.log().Debug("session not recovered", slog.String("ns", s.ns.name), errAttr(err))
	if len(s.ns.server.observers.Load().recoveryDone) > 0 {
		s.observeRecovery(err, recoveryOutcome(err))
	}
}

// checkSession returns the session that a client continues who has got everything up to
// offset. The error says why it cannot continue.
func (s *Socket) checkSession(ctx context.Context, was *adapter.Session, offset string) (*adapter.Session, error) {
	n, session := s.ns, *was
	if n.log.Compare(offset, session.From) > 0 {
		session.From = offset // the client has got this much
	}
	switch {
	case session.Tried != "" && n.log.Compare(session.From, session.Tried) <= 0:
		return nil, errNothingTaken
	case session.Complete != "" && n.log.Compare(session.From, session.Complete) < 0:
		return nil, errRoomsForgotten
	}
	r := newReplay(n, &session)
	err := r.check(ctx)
	local, here := session.Local.(*localState)
	if errors.Is(err, errDisconnectedAway) && r.rooms.closed && here {
		s.client.discardGroup(local.group)
	}
	if err == nil && here {
		err = n.checkGroup(ctx, s.client, local.group)
	}
	if err != nil && ctx.Err() != nil { // the client has gone, and may come back
		s.saveSession(was) //nolint:contextcheck // ctx has ended
	}
	return &session, err
}

// startAfresh turns a socket that continues a session into a new one.
func (s *Socket) startAfresh() {
	s.ns.byPID.CompareAndDelete(s.recovery.pid, s)
	s.recovery.session, s.recovery.missedSent = nil, false
	s.recovery.pid = engine.NewID()
	s.ns.byPID.Store(s.recovery.pid, s)
	s.id = s.client.newID(s.ns)
	s.dropHooks()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values, s.data = nil, nil
}

// takePID registers the socket under a private id, before it claims the session. If an
// older socket has the id, its lost connection was not noticed yet: takePID ends that
// socket and waits for it.
func (s *Socket) takePID(ctx context.Context, pid string) bool {
	for {
		v, taken := s.ns.byPID.LoadOrStore(pid, s)
		if !taken {
			return true
		}
		old := v.(*Socket) //nolint:forcetypeassert,errcheck // nothing else is stored
		if old.client != s.client {
			old.client.session.Close(errReplaced)
		}
		select {
		case <-old.recovery.saved:
		case <-ctx.Done():
			return false
		}
	}
}

// restoreValues gives the socket the values of its session.
func (s *Socket) restoreValues(session *adapter.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if local, ok := session.Local.(*localState); ok {
		s.values = maps.Clone(local.values)
		if s.skipsMiddlewares() {
			s.hooks = append(s.hooks, local.hooks...)
		}
		return
	}
	_ = json.Unmarshal(session.Data, &s.data) // without an object there are no values
}

// skipsMiddlewares reports whether the client skips the connect chain, because that has
// accepted it before (SIO-CSR-9). Another process leaves nothing of that here, so then
// the chain runs.
func (s *Socket) skipsMiddlewares() bool {
	if !s.Recovered() || s.ns.server.opts.ConnectionStateRecovery.RunMiddlewares {
		return false
	}
	_, here := s.recovery.session.Local.(*localState)
	return here
}
