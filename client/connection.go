package sioclient

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/sioplug/sioplug/client/internal/eio"
	"github.com/sioplug/sioplug/internal/encoding"
	"github.com/sioplug/sioplug/internal/packet"
)

// A conn is one connection of a Manager. It implements [eio.Handler], and ignores calls when
// it is not the Manager's connection any more.
type conn struct {
	m         *Manager
	engine    *eio.Engine
	dec       *encoding.Decoder // made for the first message
	reconnect bool              // it was opened by an attempt to connect again
	ctx       context.Context   //nolint:containedctx // of calls of AuthFunc: it ends with the connection
	cancel    context.CancelFunc
}

// openLocked begins to open the connection, if there is none.
func (m *Manager) openLocked(reconnect bool) {
	if m.conn != nil {
		return
	}
	m.skipReconnect = false
	c := &conn{m: m, reconnect: reconnect}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	cfg := m.cfg
	if m.useWebSocket && slices.Contains(cfg.Transports, WebSocket) {
		changed := *cfg
		changed.Transports = append([]string{WebSocket}, slices.DeleteFunc(slices.Clone(cfg.Transports), func(t string) bool { return t == WebSocket })...)
		cfg = &changed
	}
	m.conn = c
	c.engine = eio.Open(cfg, c) // its calls wait for mu
	m.last = c.engine
}

// Opened implements [eio.Handler].
func (c *conn) Opened(transport string) {
	m := c.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != c {
		return
	}
	m.open = true
	m.useWebSocket = m.opts.RememberUpgrade && transport == WebSocket
	m.hookLocked(m.opts.Hooks.Open)
	if c.reconnect {
		n := m.attempts
		m.reconnecting, m.attempts = false, 0
		if f := m.opts.Hooks.Reconnect; f != nil {
			m.hookLocked(func() { f(n) })
		}
	}
	for _, s := range m.sockets {
		s.sendConnectLocked()
	}
	m.line.Start()
}

// Closed implements [eio.Handler].
func (c *conn) Closed(opened bool, reason string, err error) {
	m := c.m
	m.dropIdle()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != c {
		return
	}
	if opened {
		m.lostLocked(Reason(reason), err)
	} else {
		m.openFailedLocked(err)
	}
	m.line.Start()
}

// lostLocked is called when the connection is lost.
func (m *Manager) lostLocked(reason Reason, err error) {
	m.conn.cancel()
	m.conn, m.open, m.attempts, m.useWebSocket = nil, false, 0, m.useWebSocket && reason != ReasonTransportError
	m.debugLocked("connection lost", slog.String("reason", string(reason)), errAttr(err))
	why := &DisconnectError{Reason: reason, Err: err}
	for _, s := range m.sockets {
		s.lostLocked(why)
	}
	m.hookCloseLocked(reason, err)
	if !m.opts.DisableReconnection {
		m.reconnectLocked()
	} else {
		m.deactivateLocked()
	}
}

// openFailedLocked is called when the connection could not be opened (CLI-EV-2).
func (m *Manager) openFailedLocked(err error) {
	again := m.conn.reconnect
	m.conn.cancel()
	m.conn, m.useWebSocket = nil, false
	m.debugLocked("connecting failed", errAttr(err))
	for _, s := range m.sockets {
		if s.active {
			s.connectFailedLocked(err)
		}
	}
	if f := m.opts.Hooks.Error; f != nil {
		m.hookLocked(func() { f(err) })
	}
	switch {
	case m.opts.DisableReconnection:
		m.deactivateLocked()
	case again:
		m.reconnecting = false
		m.reconnectLocked()
		if f := m.opts.Hooks.ReconnectError; f != nil {
			m.hookLocked(func() { f(err) })
		}
	default:
		m.reconnectLocked()
	}
}

// reconnectLocked begins to wait before the next attempt, or gives up.
func (m *Manager) reconnectLocked() {
	if m.reconnecting || m.skipReconnect {
		return
	}
	if most := m.opts.ReconnectionAttempts; most > 0 && m.attempts >= most {
		m.attempts = 0
		m.hookLocked(m.opts.Hooks.ReconnectFailed)
		m.deactivateLocked() // CLI-EV-3: nothing goes on any more
		return
	}
	m.reconnecting = true
	delay := m.backoff.delay(m.attempts)
	m.attempts++
	m.timer = time.AfterFunc(delay, m.reconnect)
}

// deactivateLocked is called when the client does not try to connect any more.
func (m *Manager) deactivateLocked() {
	for _, s := range m.sockets {
		s.active = false
	}
	m.tellShutdownLocked()
}

// reconnect is called by the timer.
func (m *Manager) reconnect() {
	m.dropIdle() // those that were still in use when the session ended
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.skipReconnect || !m.reconnecting || m.conn != nil {
		return
	}
	if f, n := m.opts.Hooks.ReconnectAttempt, m.attempts; f != nil {
		m.hookLocked(func() { f(n) })
		m.line.Start()
	}
	m.openLocked(true)
}

// Message implements [eio.Handler].
func (c *conn) Message(binary bool, p []byte) {
	if c.dec == nil { // without the lock, as the parser may be the application's
		d, err := encoding.NewDecoder(c.m.wire.limits, c.m.wire.parser)
		if err != nil {
			c.m.logError("Parser.NewDecoder failed", err)
		}
		c.dec = &d
	}
	k, complete, err := c.dec.Decode(binary, p)
	switch {
	case err != nil:
		c.fail(err)
	case complete:
		c.dispatch(k)
	}
}

// fail ends the connection, because the server sent something that is no packet of
// Socket.IO (CLI-EV-11).
func (c *conn) fail(err error) {
	m := c.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != c {
		return
	}
	c.engine.Fail()
	m.lostLocked(ReasonParseError, err)
	m.line.Start()
}

// dispatch hands a packet to its socket. Packets for other namespaces are ignored.
func (c *conn) dispatch(k packet.Packet) {
	m := c.m
	m.mu.Lock()
	s := m.socketLocked(k.Namespace)
	if m.conn != c || s == nil || !s.active {
		m.mu.Unlock()
		return
	}
	event := s.receiveLocked(k)
	m.mu.Unlock()
	if event != nil {
		s.queueEvent(event)
	}
}

// ReadDone implements [eio.Handler].
func (c *conn) ReadDone() { c.m.line.Start() }

// Ping implements [eio.Handler].
func (c *conn) Ping() {
	m := c.m
	f := m.opts.Hooks.Ping
	if f == nil {
		return
	}
	if _, err := m.queue.PushWait(m.newTask(hookName, f), m.limits(), (*source)(m)); err == nil { // queues are never closed
		m.line.Add(&m.queue)
	}
	m.line.Start()
}

// Upgraded implements [eio.Handler].
func (c *conn) Upgraded(err error) {
	m := c.m
	if err == nil {
		m.closeIdle() // the connections of polling
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != c {
		return
	}
	m.useWebSocket = m.opts.RememberUpgrade && err == nil
	if f := m.opts.Hooks.Upgrade; f != nil {
		m.hookLocked(func() { f(err) })
		m.line.Start()
	}
}
