package sioclient

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/client/internal/eio"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/serial"
)

// A Manager has one connection to a server, which the sockets of all its namespaces share.
// It opens the connection when the first socket connects, opens it again when it is lost,
// and closes it when no socket is active any more.
//
// All methods are safe for concurrent use. While it is idle, a Manager has one goroutine,
// which reads; with polling, package net/http has two more.
type Manager struct {
	opts    *Options
	server  *url.URL
	cfg     *eio.Config
	own     *http.Transport // to be closed with the connection; nil if it is not ours
	backoff backoff
	wire    wire

	line  serial.Line[*task]
	queue serial.Queue[*task] // of the hooks

	mu            sync.Mutex
	conn          *conn // nil while there is no connection
	open          bool  // the connection is open
	last          *eio.Engine
	sockets       []*Socket // in the order in which they were made
	reconnecting  bool      // an attempt goes on, or its timer runs
	skipReconnect bool      // the connection was closed on purpose
	attempts      int       // of the present series
	timer         *time.Timer
	useWebSocket  bool          // see Options.RememberUpgrade
	settled       chan struct{} // calls of Shutdown wait for it; nil while there are none

	ackWaiters atomic.Int64 // calls that wait for acknowledgements
	ahead      atomic.Int64 // bytes of events beyond the limits
}

// NewManager returns a Manager for the server of that URL, whose path and query are
// ignored. It does not connect. Most programs use [New] instead, which calls it.
func NewManager(rawURL string, opts *Options) (*Manager, error) {
	server, _, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{opts: o, server: server, backoff: o.backoff(), wire: newWire(o)}
	m.cfg, m.own = o.engine(server)
	return m, nil
}

// Of returns the socket of a namespace, which is made by the first call. It does not
// connect. The socket has the Auth or the AuthFunc of the options, unless [Socket.SetAuth]
// or [Socket.SetAuthFunc] changes that.
func (m *Manager) Of(namespace string) (*Socket, error) {
	name, err := checkNamespace(namespace)
	if err != nil {
		return nil, err
	}
	leave, err := m.wire.disconnect(name) // by the parser, so without the lock
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.socketLocked(name); s != nil {
		return s, nil
	}
	s := &Socket{m: m, ns: name, leave: leave}
	s.auth.value, s.auth.call = m.opts.Auth, m.opts.AuthFunc
	m.sockets = append(m.sockets, s)
	return s, nil
}

// socketLocked returns the socket of a namespace, or nil.
func (m *Manager) socketLocked(name string) *Socket {
	i := slices.IndexFunc(m.sockets, func(s *Socket) bool { return s.ns == name })
	if i < 0 {
		return nil
	}
	return m.sockets[i]
}

// Transport returns the name of the transport that the connection uses, "" if there is no
// connection.
func (m *Manager) Transport() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.open {
		return ""
	}
	return m.conn.engine.Transport()
}

// Disconnect closes the connection. All sockets are disconnected with
// [ReasonForcedClose], and none connects again by itself. It does not wait.
func (m *Manager) Disconnect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopReconnectingLocked()
	if m.conn == nil {
		return
	}
	m.closeConnLocked()
	why := &DisconnectError{Reason: ReasonForcedClose}
	for _, s := range m.sockets {
		s.lostLocked(why)
	}
	m.hookCloseLocked(ReasonForcedClose, nil)
	m.line.Start()
}

// closeIdle closes connections of polling that nobody needs any more.
func (m *Manager) closeIdle() {
	if m.own != nil {
		m.own.CloseIdleConnections()
	}
}

// dropIdle closes connections of polling after a failure. They may be dead as well, which
// the next request on them would notice no sooner than at Options.Timeout. If the HTTP
// client is the application's, its other users lose idle connections, and open new ones.
func (m *Manager) dropIdle() {
	m.closeIdle()
	if c := m.opts.HTTPClient; c != nil && slices.Contains(m.opts.Transports, Polling) {
		_ = rescue.Apart(func() error { // its transport is the application's
			c.CloseIdleConnections()
			return nil
		})
	}
}

// stopReconnectingLocked has the connection stay closed.
func (m *Manager) stopReconnectingLocked() {
	m.tellShutdownLocked()
	m.skipReconnect, m.reconnecting, m.attempts = true, false, 0
	if m.timer != nil {
		m.timer.Stop()
	}
}

// closeConnLocked closes the connection when everything has been sent.
func (m *Manager) closeConnLocked() {
	c := m.conn
	m.conn, m.open, m.attempts = nil, false, 0
	c.cancel()
	c.engine.Close()
	if m.own != nil {
		done := c.engine.Done()
		go func() { // ends with the session, which an orderly end limits to some seconds
			<-done
			m.closeIdle()
		}()
	}
}

// closeIfUnusedLocked closes the connection if no socket is active.
func (m *Manager) closeIfUnusedLocked() {
	if slices.ContainsFunc(m.sockets, func(s *Socket) bool { return s.active }) {
		return
	}
	m.stopReconnectingLocked()
	if m.conn == nil {
		return
	}
	m.closeConnLocked()
	m.hookCloseLocked(ReasonForcedClose, nil)
}
