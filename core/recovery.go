package sio

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/packet"
	"github.com/sioplug/sioplug/core/internal/rawjson"
	"github.com/sioplug/sioplug/core/internal/rescue"
)

// Recovery are the settings of connection state recovery (SIO section 10). A
// client whose connection was lost, and that connects again in time, keeps its
// id, its rooms and the values on its socket, and gets the events that it
// missed. [Socket.Recovered] tells that this happened. A client that comes too
// late, or has never been sent an event, gets a fresh socket instead; there is
// no error.
//
// Events that want an ack, and volatile ones, are not kept. All others carry one
// more argument, a string, which tells clients how far they have come; so the
// last argument of a volatile event should not be a string, which clients would
// take for that.
type Recovery struct {
	// MaxDisconnectionDuration is how long a client may be away, 2 minutes by
	// default. For that long its private id, with which the client authenticates
	// itself, stays valid.
	MaxDisconnectionDuration time.Duration

	// MaxBytes is how many bytes of events are kept for each namespace, 16 MiB
	// by default. The oldest go first, and with them the sessions that would
	// need them.
	MaxBytes int

	// RunMiddlewares has [Namespace.UseConnect] middleware run for recovered
	// clients, too. By default they are not asked again who they are, except by
	// middleware that insists on it ([Ctx.OnRecover]), as that of package auth does.
	RunMiddlewares bool

	// Log, if not nil, returns what keeps the events and sessions of a
	// namespace. By default that is this server's memory, so clients have to
	// come back to the same server.
	Log func(namespace string) adapter.Log
}

const (
	defaultDisconnection = 2 * time.Minute
	defaultRecoveryBytes = 16 << 20

	// saveTimeout is how long a log may take to save a session, and claimTimeout
	// to give one back, after which the client gets a fresh one.
	saveTimeout  = 5 * time.Second
	claimTimeout = 5 * time.Second
)

func (r *Recovery) withDefaults() *Recovery {
	if r == nil {
		return nil
	}
	c := *r
	for name, v := range map[string]int64{
		"MaxDisconnectionDuration": int64(c.MaxDisconnectionDuration), "MaxBytes": int64(c.MaxBytes),
	} {
		if v < 0 {
			misuse(fmt.Sprintf("Recovery.%s is negative: leave it 0 for the default", name))
		}
	}
	c.MaxDisconnectionDuration = cmp.Or(c.MaxDisconnectionDuration, defaultDisconnection)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultRecoveryBytes)
	if c.Log == nil {
		c.Log = func(string) adapter.Log {
			return adapter.NewMemoryLog(adapter.MemoryLogOptions{
				MaxAge: c.MaxDisconnectionDuration, MaxBytes: c.MaxBytes,
			})
		}
	}
	return &c
}

// Recovered reports whether the client continues a session whose connection was
// lost. It is known in the connect chain already, if that runs at all.
func (s *Socket) Recovered() bool { return s.recovery != nil && s.recovery.session != nil }

// A recovery is what a socket has beyond others if its namespace has a log.
type recovery struct {
	pid  string        // the client's private id
	done chan struct{} // closed when another socket can take over the session

	session *adapter.Session // that this socket continues, or nil
	offset  string           // of the last event that its client got
}

// errReplaced ends a connection whose client has come back by another one.
var errReplaced = errors.New("the client has connected again")

// prepare gives the socket a private id: a new one, or that of the session which
// the client wants to continue. It is part of the socket's first task, so that
// whoever knows the id, from an earlier socket or from this one, can find it.
func (s *Socket) prepare() {
	if s.ns.log == nil || s.client.old() {
		return
	}
	s.recovery = &recovery{pid: engine.NewID(), done: make(chan struct{})}
	if !s.claim() {
		s.ns.byPID.Store(s.recovery.pid, s)
	}
}

// claim looks for the session that the client wants to continue (SIO-CSR-5), and
// reports whether the socket has it now.
func (s *Socket) claim() bool {
	var want struct {
		PID    string `json:"pid"`
		Offset string `json:"offset"`
	}
	if json.Unmarshal(s.authPayload(), &want) != nil || want.PID == "" || want.Offset == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(s.Context(), claimTimeout)
	defer cancel()
	if !s.take(ctx, want.PID) {
		return false
	}
	var session *adapter.Session
	err := rescue.Apart(func() (err error) {
		session, err = s.ns.log.Claim(ctx, want.PID, want.Offset)
		return err
	})
	if err != nil {
		s.ns.byPID.CompareAndDelete(want.PID, s)
		s.ns.server.log().Debug("session not recovered", slog.String("ns", s.ns.name), errAttr(err))
		return false
	}
	s.id = session.ID
	s.recovery.pid, s.recovery.session, s.recovery.offset = want.PID, session, want.Offset
	s.restoreValues(session)
	return true
}

// take makes the socket the one that has a private id, before it claims the
// session: who comes next has to find it. The socket that still has it, because
// nobody has noticed yet that its connection is lost, is ended and waited for.
func (s *Socket) take(ctx context.Context, pid string) bool {
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
		case <-old.recovery.done:
		case <-ctx.Done():
			return false
		}
	}
}

// restoreValues gives a socket the values that an earlier one had.
func (s *Socket) restoreValues(session *adapter.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, ok := session.Local.(*keepsake); ok {
		s.values = maps.Clone(kept.values)
		if s.skipsMiddlewares() {
			s.hooks = append(s.hooks, kept.hooks...)
		}
		return
	}
	_ = json.Unmarshal(session.Data, &s.data) // what is no object has no values
}

// resume connects a socket that continues a session: what it missed goes out
// before the answer to its CONNECT, which is when official clients expect it,
// and nothing is delivered in between (SIO-CSR-7).
func (s *Socket) resume(answer []*frame.Frame) {
	missed := func(m *adapter.Message, offset string) {
		if fs, err := s.ns.eventFrames(m, offset); err == nil {
			_ = s.client.session.Send(fs...) // the engine tells if it has gone
		}
	}
	rooms := s.recovery.session.Rooms
	err := rescue.Apart(func() error {
		return s.ns.log.Replay(s.Context(), s.recovery.offset, rooms, missed, func() {
			s.enter(answer)
			s.ns.index.Join(&s.member, rooms...)
		})
	})
	if err != nil { // the log lost its beginning while the connect chain ran
		s.client.session.Close(fmt.Errorf("recovering a session: %w", err))
	}
}

// release keeps the session of a client whose connection was lost (SIO-CSR-4),
// or lets go of it. The socket is no longer in its rooms.
func (s *Socket) release(why *DisconnectError, rooms []string) {
	if s.recovery == nil {
		return
	}
	defer close(s.recovery.done)
	defer s.ns.byPID.CompareAndDelete(s.recovery.pid, s)
	session := s.recovery.session
	if !recoverable(why.Reason) || !s.accepted && session == nil {
		return
	}
	var err error
	if s.accepted { // otherwise it is the one that was claimed
		err = rescue.Apart(func() (err error) {
			session, err = s.snapshot(rooms)
			return err
		})
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
		defer cancel()
		err = rescue.Apart(func() error { return s.ns.log.Save(ctx, session) })
	}
	if err != nil {
		s.logFailure("saving a session failed", eventDisconnect, err)
	}
}

// snapshot returns what the client would have to find again.
func (s *Socket) snapshot(rooms []string) (*adapter.Session, error) {
	data, err := s.dataJSON()
	s.mu.Lock()
	defer s.mu.Unlock()
	return &adapter.Session{
		ID: s.id, PID: s.recovery.pid, Rooms: rooms, Data: data,
		Local: &keepsake{maps.Clone(s.values), s.lasting()},
	}, err
}

// A keepsake is what a log in this server's memory keeps of a socket beyond what
// others could.
type keepsake struct {
	values map[any]any
	hooks  []hook
}

// skipsMiddlewares reports whether the connect chain has had its say about the
// client before (SIO-CSR-9). That of another process left nothing here, so it
// does not count.
func (s *Socket) skipsMiddlewares() bool {
	if !s.Recovered() || s.ns.server.opts.ConnectionStateRecovery.RunMiddlewares {
		return false
	}
	_, here := s.recovery.session.Local.(*keepsake)
	return here
}

// recoverable reports whether a client may come back after this.
func recoverable(r Reason) bool {
	switch r {
	case ReasonTransportError, ReasonTransportClose, ReasonForcedClose, ReasonPingTimeout, ReasonServerShuttingDown:
		return true
	default:
		return false
	}
}

// mayReturn reports whether the session is kept of a socket that has ended.
func (s *Socket) mayReturn() bool {
	return s.recovery != nil && (s.accepted || s.Recovered()) && recoverable(s.whyEnded().Reason)
}

// kept reports whether an event that cannot be sent is kept for a client that
// may come back.
func (s *Socket) kept() bool {
	return s.state.Load() == stateDisconnected && recoverable(s.whyEnded().Reason)
}

// emitLogged emits to one client of a namespace with a log, through its own
// room, so that the event is kept (SIO-CSR-3).
func (s *Socket) emitLogged(event string, args []any) error {
	if err := s.check(); err != nil && !s.kept() {
		return err
	}
	return s.Self().Emit(event, args...)
}

// record delivers a broadcast, after the log has it, if there is one.
func (n *Namespace) record(m *adapter.Message) {
	if n.log == nil || m.Volatile {
		n.deliver(m, "")
		return
	}
	delivered := false
	err := n.callLog(func() error {
		return n.log.Append(m, func(offset string) {
			delivered = true
			n.deliver(m, offset)
		})
	})
	if err != nil {
		n.logFailure("event not kept for recovery", err)
	}
	if !delivered {
		n.deliver(m, "")
	}
}

// callLog calls a method of the log for an event that is on its way. A log in our
// memory does not end the goroutine.
func (n *Namespace) callLog(f func() error) error {
	if _, ours := n.log.(*adapter.MemoryLog); ours {
		return rescue.Call(f)
	}
	return rescue.Apart(f)
}

// eventFrames encodes a broadcast for this server's clients. An offset becomes
// its last argument (SIO-CSR-2).
func (n *Namespace) eventFrames(m *adapter.Message, offset string) ([]*frame.Frame, error) {
	c := content{m.Data, m.Attachments}
	if offset != "" {
		c.data = append(make([]byte, 0, len(m.Data)+len(offset)+3), m.Data[:len(m.Data)-1]...)
		c.data = append(rawjson.AppendString(append(c.data, ','), offset), ']')
	}
	fs, err := n.server.wire.frames(packet.Event, packet.Header{Namespace: n.name}, c)
	if err == nil && m.NoCompress {
		for _, f := range fs {
			f.SetPlain()
		}
	}
	return fs, err
}
