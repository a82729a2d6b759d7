package sioclient

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/serial"
)

// A Socket is the client in one namespace. Its handlers are registered once, and stay when
// the connection is lost and opened again. All methods are safe for concurrent use.
type Socket struct {
	m     *Manager
	ns    string
	queue serial.Queue[*task]
	auth  auth
	on    handlers
	leave []*frame.Frame // the packet that leaves the namespace

	// Guarded by the Manager's mu:
	active      bool // it is connected, or the client tries to connect it
	connected   bool
	recovered   bool
	asked       bool   // CONNECT was sent on this connection, or is about to be
	epoch       uint64 // raised when the socket is disconnected
	id          string
	pid         string           // private id for recovery, "" if the server has none
	offset      string           // of the last event that had one
	knownOffset bool             // offset has a form that is known
	why         *DisconnectError // of the last disconnect; nil if there was none
	waiters     []chan error
	early       []packet.Packet // events from before the answer to CONNECT
	earlySize   int
	buffered    []*outgoing
	bufSize     int
	dropped     int
	acks        map[uint64]ackWaiter
	nextAck     uint64
	retries     []*retried
	keys        keySource
	authFails   int
	authTimer   *time.Timer
	ctx         context.Context //nolint:containedctx // ends when the socket is disconnected; nil until asked for
	cancel      context.CancelCauseFunc
}

// New returns a socket for the URL of a server, with a [Manager] of its own. The path of
// the URL is the namespace. New does not connect: register handlers, and then call
// [Socket.Connect].
//
//	s, err := sioclient.New("http://localhost:8080/chat", nil)
func New(rawURL string, opts *Options) (*Socket, error) {
	_, namespace, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	m, err := NewManager(rawURL, opts)
	if err != nil {
		return nil, err
	}
	return m.Of(namespace)
}

// Dial is [New] and [Socket.Connect]. If connecting fails, the client does not try again.
// Events that come before handlers are registered are lost: to receive events, use New.
func Dial(ctx context.Context, rawURL string, opts *Options) (*Socket, error) {
	s, err := New(rawURL, opts)
	if err != nil {
		return nil, err
	}
	if err := s.Connect(ctx); err != nil {
		s.Disconnect()
		return nil, err
	}
	return s, nil
}

// Manager returns the Manager that has the socket's connection.
func (s *Socket) Manager() *Manager { return s.m }

// Namespace returns the name of the namespace, "/" for the root.
func (s *Socket) Namespace() string { return s.ns }

// ID returns the id that the server has given the socket, "" while it is not connected. A
// socket that connects again gets another one, unless it was recovered.
func (s *Socket) ID() string {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.id
}

// Connected reports whether the server has accepted the socket, and the connection has not
// been lost since.
func (s *Socket) Connected() bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.connected
}

// Active reports whether the socket is connected, or the client tries to connect it. It is
// false after [Socket.Disconnect], after the server has disconnected or refused the
// socket, and when the client has given up.
func (s *Socket) Active() bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.active
}

// Recovered reports whether the last connect continued the session before: the socket has
// kept its id, and got the events that it missed.
func (s *Socket) Recovered() bool {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.recovered
}

// Dropped returns how many events were dropped, because the send buffer was full and
// Options.DropOldest is set, and how many were given up after Options.Retries although
// nobody waits for their acknowledgements.
func (s *Socket) Dropped() int {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.dropped
}

// Open begins to connect the socket, and does not wait.
func (s *Socket) Open() {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.openLocked()
}

// Connect connects the socket, and waits until the server accepts it, or for the first
// error. If the server refuses the socket, the error is a [*sio.Error] with the message
// and the data.
//
// For other errors the client goes on trying, unless Options.DisableReconnection is set:
// [Socket.Active] tells. Connect may be called again to wait for the result of the next
// attempt. To give up, call [Socket.Disconnect]. If ctx ends, the socket is as it was
// before the call.
func (s *Socket) Connect(ctx context.Context) error {
	m := s.m
	m.mu.Lock()
	if s.connected {
		m.mu.Unlock()
		return nil
	}
	was := s.active
	result := make(chan error, 1)
	s.waiters = append(s.waiters, result)
	s.openLocked()
	m.mu.Unlock()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	m.mu.Lock()
	s.waiters = slices.DeleteFunc(s.waiters, func(w chan error) bool { return w == result })
	m.mu.Unlock()
	if !was {
		s.Disconnect()
	}
	return fmt.Errorf("sioclient: connecting: %w", context.Cause(ctx))
}

func (s *Socket) openLocked() {
	m := s.m
	s.active = true
	if s.connected {
		return
	}
	if m.open {
		s.sendConnectLocked()
		m.line.Start()
	} else if !m.reconnecting { // CLI-EV-9
		m.openLocked(false)
	}
}

// resolveLocked tells the calls of Connect the result.
func (s *Socket) resolveLocked(err error) {
	for _, w := range s.waiters {
		w <- err // it has room for one
	}
	s.waiters = nil
}

// Disconnect leaves the namespace. If no other socket uses the connection, it is closed
// when everything that was emitted before has been sent. Events that wait for a connection
// stay, and are sent if the socket connects again. Disconnect does not wait: see
// [Manager.Shutdown].
func (s *Socket) Disconnect() {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.active && !s.connected {
		return
	}
	if s.connected {
		m.conn.engine.Send(s.leave...)
	}
	s.leaveLocked(&DisconnectError{Reason: ReasonClientDisconnect})
}

// leaveLocked makes the socket inactive (CLI-EV-7). Its session cannot be recovered any
// more (CLI-CSR-4).
func (s *Socket) leaveLocked(why *DisconnectError) {
	s.deactivateLocked()
	s.lostLocked(why)
	s.resolveLocked(why)
	s.m.line.Start()
}

func (s *Socket) deactivateLocked() {
	s.active = false
	s.m.tellShutdownLocked()
	s.pid, s.offset, s.knownOffset = "", "", false
	s.m.closeIfUnusedLocked()
}

// lostLocked is called when the socket has lost its connection, whoever closed it.
func (s *Socket) lostLocked(why *DisconnectError) {
	was, asked := s.connected, s.asked
	s.connected, s.asked, s.id, s.why = false, false, "", why
	s.early, s.earlySize = nil, 0
	if s.authTimer != nil {
		s.authTimer.Stop()
	}
	s.epoch++
	if !was {
		if asked && s.active { // CLI-EV-8: no disconnect, as there was no connect
			s.connectFailedLocked(why)
		}
		return
	}
	if s.cancel != nil {
		s.cancel(why)
		s.ctx, s.cancel = nil, nil
	}
	for _, f := range s.on.disconnectFuncs() {
		s.m.pushLocked(&s.queue, "OnDisconnect", func() { f(s, why.Reason) })
	}
	s.failAcksLocked(why)
}

// connectFailedLocked tells that the socket could not be connected.
func (s *Socket) connectFailedLocked(err error) {
	for _, f := range s.on.connectErrorFuncs() {
		s.m.pushLocked(&s.queue, "OnConnectError", func() { f(s, err) })
	}
	s.resolveLocked(err)
}

// Context returns a context that ends when the socket is disconnected, with a
// [*DisconnectError] as its cause. If it is disconnected already, so is the context.
func (s *Socket) Context() context.Context {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.contextLocked(s.epoch)
}

func (s *Socket) contextLocked(epoch uint64) context.Context {
	if !s.connected || s.epoch != epoch {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cmp.Or(s.why, &DisconnectError{Reason: ReasonClientDisconnect}))
		return ctx
	}
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancelCause(context.Background())
	}
	return s.ctx
}
