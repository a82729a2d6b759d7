package sio

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/encoding"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/serial"
)

// Protocol errors, for which the server closes the connection.
var (
	errNotInNamespace = errors.New("packet for a namespace that was not joined")
	errConnectTwice   = errors.New("CONNECT to a namespace that was joined already")
	errClientSends    = errors.New("packet that only servers send")
	errNoNamespace    = errors.New("no namespace joined in time")
	errTooMuchAuth    = errors.New("too much auth data")
)

// A client is one session with its sockets, one for each namespace. It implements
// [engine.Handler] and [engine.Worker]. TestSizes bounds its memory.
type client struct {
	server      *Server
	session     *engine.Session
	decoder     encoding.Decoder // only used by Message, whose calls do not overlap
	partialTask *task            // only used by Message: the task of a packet whose attachments are missing
	openedAt    int64            // when the session opened, in Unix milliseconds

	line       serial.Line[queuedTask] // the turns of the sockets' tasks: see task.go
	aheadBytes atomic.Int64            // bytes that were read beyond the limits: see source

	mu              sync.Mutex
	sockets         []*Socket // few
	unfinished      int32     // number of sockets that have not run their last task
	ackWaiters      int32     // number of acks that goroutines wait for
	blockedOn       *Socket   // the read loop waits for space in its queue: see source
	connectDeadline deadline.Item[*client]
	closeError      *DisconnectError

	group *sessionGroup // guarded by Server.groups; nil without recovery
}

// open is called by the engine for every new session.
func (s *Server) open(session *engine.Session) engine.Handler {
	c := &client{
		server:   s,
		session:  session,
		decoder:  s.newDecoder(),
		openedAt: time.Now().UnixMilli(),
	}
	s.connectTimeouts.Set(&c.connectDeadline, c)
	if c.isRevision4() {
		return revision4Client{c}
	}
	return c
}

// connectTimedOut is called when the client has not joined a namespace in time
// (SIO-BAD-5).
func (c *client) connectTimedOut() {
	c.mu.Lock()
	joined := slices.ContainsFunc(c.sockets, (*Socket).Connected)
	c.mu.Unlock()
	if !joined {
		c.session.Close(errNoNamespace)
	}
}

// stopConnectTimeout is called when a namespace has accepted the client.
func (c *client) stopConnectTimeout() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connectDeadline.Stop()
}

// Message implements [engine.Handler].
func (c *client) Message(binary bool, p []byte) {
	t := c.partialTask
	if t == nil {
		t, c.decoder.Space = newTask(len(p))
	}
	pkt, complete, err := c.decoder.Decode(binary, p)
	if err == nil && complete {
		err = c.handlePacket(pkt, t)
	}
	c.decoder.Space, c.partialTask = nil, nil
	if !complete {
		c.partialTask = t
	}
	if err != nil {
		c.protocolError(err)
	}
}

// protocolError closes the connection of a client that broke the protocol (SIO-BAD-1,
// SIO-BAD-3). A packet that comes while its session ends breaks nothing.
func (c *client) protocolError(err error) {
	if c.isClosed() {
		return
	}
	switch {
	case rescue.Panicked(err):
		attrs := append([]slog.Attr{slog.String("address", c.session.ClientIP())}, errAttrs(err)...)
		c.server.log().LogAttrs(context.Background(), slog.LevelError, "decoding a packet failed", attrs...)
	case !errors.Is(err, ErrDisconnected):
		c.server.debug("client broke the protocol", slog.String("address", c.session.ClientIP()), errAttr(err))
	}
	c.session.Close(err)
}

// isClosed reports whether the session has ended.
func (c *client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closeError != nil
}

// handlePacket handles a packet. t is memory for the task, if it needs one.
func (c *client) handlePacket(p packet.Packet, t *task) error {
	if c.isRevision4() {
		p = fromRevision4(p)
	}
	if p.Type == packet.Connect {
		return c.connect(p)
	}
	s := c.socketIn(p.Namespace)
	switch {
	case s == nil || !s.acceptsPackets():
		return errNotInNamespace
	case p.Type == packet.Event:
		s.queueEvent(p, t)
	case p.Type == packet.Ack:
		s.receiveAck(p)
	case p.Type == packet.Disconnect:
		s.end(&DisconnectError{Reason: ReasonClientNamespaceDisconnect}, false)
	default:
		return errClientSends
	}
	return nil
}

// addSocket adds a new socket. It returns an error if the namespace has a socket of the
// client already, or if the session has ended.
func (c *client) addSocket(s *Socket) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closeError != nil {
		return c.closeError
	}
	if slices.ContainsFunc(c.sockets, func(o *Socket) bool { return o.ns.name == s.ns.name }) {
		return errConnectTwice
	}
	if waits := c.pendingAuthBytesLocked(); waits > 0 && waits+len(s.auth) > c.server.opts.MaxPendingBytes {
		return errTooMuchAuth
	}
	if !c.server.sockets.Enter() {
		return &DisconnectError{Reason: ReasonServerShuttingDown}
	}
	c.sockets = append(c.sockets, s)
	c.unfinished++
	return nil
}

// atNamespaceLimit reports whether the client has reached MaxNamespaces. A socket that
// has ended counts until its handlers have returned. Otherwise a client could keep any
// number of handlers busy.
func (c *client) atNamespaceLimit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.unfinished) >= c.server.opts.MaxNamespaces
}

// socketFinished is called when a socket has run its last task.
func (c *client) socketFinished() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unfinished--
}

// moveSocket gives a socket the namespace that was found for it.
func (c *client) moveSocket(s *Socket, to *Namespace) {
	c.mu.Lock() // other goroutines look for it by the name
	defer c.mu.Unlock()
	s.ns = to
}

func (c *client) socketIn(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.ns.name == namespace {
			return s
		}
	}
	return nil
}

// removeSocket removes an ended socket from the table.
func (c *client) removeSocket(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = slices.DeleteFunc(c.sockets, func(o *Socket) bool { return o == s })
}

// Close implements [engine.Handler]. Handlers still get the events that have come.
func (c *client) Close(reason engine.Reason, err error) {
	if errors.Is(err, engine.ErrSlowClient) {
		err = ErrSlowClient // the exported one
	}
	why := &DisconnectError{Reason: Reason(reason), Err: err}
	if reason == engine.ForcedClose && err == nil && !c.server.Ready() {
		why.Reason = ReasonServerShuttingDown
	}
	c.mu.Lock()
	c.closeError = why
	c.connectDeadline.Stop()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.end(why, false)
	}
}
