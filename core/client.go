package sio

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/deadline"
	"github.com/sioplug/sioplug/core/internal/packet"
)

// Why clients are cut off that break the protocol.
var (
	errNotInNamespace = errors.New("packet for a namespace that was not joined")
	errConnectTwice   = errors.New("CONNECT to a namespace that was joined already")
	errClientSends    = errors.New("packet that only servers send")
	errNoNamespace    = errors.New("no namespace joined in time")
)

// A client is one session with its sockets, one for each namespace. It
// implements [engine.Handler] and [engine.Worker].
type client struct {
	server  *Server
	session *engine.Session
	decoder decoder  // only used by Message, whose calls do not overlap
	partial *inbound // likewise: of a packet that is not complete
	opened  int64    // when the session opened, in Unix milliseconds

	mu      sync.Mutex
	sockets []*Socket // few
	held    int       // sockets that have not run their last task
	ready   []*Socket // with events that nobody handles yet
	wait    deadline.Item[*client]
	ended   *DisconnectError

	sessions *sessionGroup // guarded by Server.groups; nil without recovery
}

// open is called by the engine for every new session.
func (s *Server) open(session *engine.Session) engine.Handler {
	c := &client{
		server:  s,
		session: session,
		decoder: s.wire.decoder(s.opts.decoder()),
		opened:  time.Now().UnixMilli(),
	}
	s.connects.Set(&c.wait, c)
	return c
}

// idle is called when the client joined no namespace in time (SIO-BAD-5).
func (c *client) idle() {
	c.mu.Lock()
	joined := slices.ContainsFunc(c.sockets, (*Socket).Connected)
	c.mu.Unlock()
	if !joined {
		c.session.Close(errNoNamespace)
	}
}

// joined notes that a namespace accepted the client.
func (c *client) joined() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wait.Stop()
}

// Message implements [engine.Handler].
func (c *client) Message(binary bool, p []byte) {
	in := c.partial
	if in == nil {
		in, c.decoder.Space = newInbound(len(p))
	}
	pkt, complete, err := c.decoder.decode(binary, p)
	if err == nil && complete {
		err = c.handle(pkt, in)
	}
	c.decoder.Space, c.partial = nil, nil
	if !complete {
		c.partial = in
	}
	if err != nil {
		c.cutOff(err)
	}
}

// cutOff ends the connection of a client that broke the protocol (SIO-BAD-1,
// SIO-BAD-3).
func (c *client) cutOff(err error) {
	c.server.debug("client broke the protocol", slog.String("address", c.session.ClientIP()), errAttr(err))
	c.session.Close(err)
}

// handle handles a packet. If it is for a handler, in carries it there.
func (c *client) handle(p packet.Packet, in *inbound) error {
	if c.old() {
		p = fromOld(p)
	}
	if p.Type == packet.Connect {
		return c.connect(p)
	}
	s := c.socket(p.Namespace)
	switch {
	case s == nil || !s.Connected():
		return errNotInNamespace
	case p.Type == packet.Event:
		s.event(p, in)
	case p.Type == packet.Ack:
		s.settle(p)
	case p.Type == packet.Disconnect:
		s.end(&DisconnectError{Reason: ReasonClientNamespaceDisconnect}, false)
	default:
		return errClientSends
	}
	return nil
}

// connect begins to connect the client to a namespace (SIO section 3.1).
func (c *client) connect(p packet.Packet) error {
	if c.full() {
		return c.reject(p.Namespace, "too many namespaces")
	}
	ns := c.server.admit(p.Namespace, func() *Handshake { return c.handshake(p.Data) })
	if ns == nil { // SIO-CN-3
		return c.reject(p.Namespace, "Invalid namespace")
	}
	s := newSocket(c, ns, p.Data)
	if err := c.add(s); err != nil {
		ns.leave()
		return err
	}
	in := new(inbound)
	in.init(s, taskConnect)
	in.event = eventConnect
	idle, err := s.queue.Push(queued{in})
	if idle {
		c.hasWork(s)
	}
	return err
}

// reject answers a CONNECT for which there is no socket.
func (c *client) reject(namespace, why string) error {
	m, err := c.server.wire.connectError(namespace, wireError{Message: why})
	if err == nil {
		_ = c.session.Send(m...) // the engine knows if it has gone
	}
	return err
}

// Work implements [engine.Worker]: it handles packets.
func (c *client) Work() {
	for {
		c.mu.Lock()
		if len(c.ready) == 0 {
			c.mu.Unlock()
			return
		}
		s := c.ready[0]
		n := copy(c.ready, c.ready[1:])
		c.ready[n] = nil
		c.ready = c.ready[:n]
		if n > 0 {
			go c.Work() // ends with the handlers: those of this socket must not hold up the others
		}
		c.mu.Unlock()
		s.queue.Run()
	}
}

// workElsewhere has another goroutine do what Work would do, because the one
// that would call it next has to wait for it.
func (c *client) workElsewhere() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ready) > 0 {
		go c.Work() // ends with the handlers
	}
}

// hasWork notes that a socket's queue is to be run by Work.
func (c *client) hasWork(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = append(c.ready, s)
}

// add puts a new socket into the table, unless its namespace has one already or
// the client has gone.
func (c *client) add(s *Socket) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	if slices.ContainsFunc(c.sockets, func(o *Socket) bool { return o.ns == s.ns }) {
		return errConnectTwice
	}
	if !c.server.sockets.Enter() {
		return &DisconnectError{Reason: ReasonServerShuttingDown}
	}
	c.sockets = append(c.sockets, s)
	c.held++
	return nil
}

// full reports whether the client has as many sockets as it may. Those that it
// has left count until their handlers have returned: otherwise a client could
// keep any number of them busy.
func (c *client) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held >= c.server.opts.MaxNamespaces
}

// over notes that a socket has run its last task.
func (c *client) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held--
}

func (c *client) socket(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.ns.name == namespace {
			return s
		}
	}
	return nil
}

// forget takes an ended socket out of the table.
func (c *client) forget(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = slices.DeleteFunc(c.sockets, func(o *Socket) bool { return o == s })
}

// kick ends a socket from the server's side.
func (c *client) kick(s *Socket) {
	if s.end(&DisconnectError{Reason: ReasonServerNamespaceDisconnect}, true) {
		if m, err := s.wire().disconnect(s.ns.name); err == nil {
			_ = c.session.Send(m...) // if it has gone, it needs no goodbye
		}
	}
}

// kickAll ends all sockets and the session (SIO-DC-2).
func (c *client) kickAll() {
	c.endSessions()
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		c.kick(s)
	}
	c.session.Close(nil)
}

// Close implements [engine.Handler]. Events that have come are still handled.
func (c *client) Close(reason engine.Reason, err error) {
	if errors.Is(err, engine.ErrSlowClient) {
		err = ErrSlowClient // the one that users know
	}
	why := &DisconnectError{Reason: Reason(reason), Err: err}
	if reason == engine.ForcedClose && err == nil && c.server.sockets.Closed() {
		why.Reason = ReasonServerShuttingDown
	}
	c.mu.Lock()
	c.ended = why
	c.wait.Stop()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.end(why, false)
	}
}
