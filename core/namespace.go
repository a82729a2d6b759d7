package sio

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
	"github.com/sioplug/sioplug/internal/serial"
)

// A Namespace is a part of a server with clients, rooms and handlers of its
// own. Register handlers before clients connect: a client meets those that are
// there when its packet is handled. All methods are safe for concurrent use.
type Namespace struct {
	server     *Server
	name       string
	self       [1]*Namespace // itself: see members
	pattern    *namePattern  // of a parent; nil for others
	parent     *Namespace    // of a child; nil for others
	ready      chan struct{} // closed when clients may enter
	unresolved bool          // it stands for one that a client wants to connect to, if there is one

	index  *rooms.Index[*Socket]
	ackIDs atomic.Uint64
	routes atomic.Pointer[routes]

	adapter             adapter.Adapter // nil without a cluster
	log                 adapter.Log     // nil without recovery
	logState            *logState       // of the log
	joined              atomic.Bool     // these are set
	byPID               sync.Map        // private ids to the sockets that have them now
	serverEvents        serial.Queue[serverEventTask]
	droppedServerEvents atomic.Int64 // server-side events, since its handlers caught up
	closeOnce           sync.Once

	mu   sync.Mutex // also serializes registrations
	life lifetime
}

func newNamespace(s *Server, name string) *Namespace {
	n := &Namespace{server: s, name: name, index: rooms.NewIndex[*Socket]()}
	n.self[0] = n
	n.routes.Store(newRoutes())
	return n
}

// Name returns the name, with its leading slash.
func (n *Namespace) Name() string { return n.name }

// Emit sends an event to all clients of the namespace. See [Broadcast.Emit].
func (n *Namespace) Emit(event string, args ...any) error {
	return n.Broadcast().Emit(event, args...)
}

// To returns the clients in any of the rooms, or all without a room. A
// socket's id is a room with that socket in it.
func (n *Namespace) To(rooms ...string) Broadcast { return n.Broadcast().To(rooms...) }

// Except returns the clients in none of the rooms.
func (n *Namespace) Except(rooms ...string) Broadcast { return n.Broadcast().Except(rooms...) }

// Broadcast returns all clients of the namespace.
func (n *Namespace) Broadcast() Broadcast { return Broadcast{ns: n} }

// unresolvedNamespace returns a namespace that stands for the one of that name until the socket's
// first task has found or made that: see [Socket.resolveNamespace].
func (s *Server) unresolvedNamespace(name string) *Namespace {
	n := newNamespace(s, strings.Clone(name))
	n.unresolved = true
	return n
}

// resolveNamespace puts the socket into the namespace that it wants to be in. It is a part of its
// first task and not of the read loop, because it calls the application's code. It
// returns nil, and refuses the client, if there is no such namespace.
func (s *Socket) resolveNamespace() *Namespace {
	if !s.ns.unresolved {
		return s.ns
	}
	name, why := s.ns.name, invalidNamespace
	n, err := s.ns.server.namespaceFor(s.Context(), name, s.Handshake)
	if err != nil {
		s.logFailure("making a namespace failed", eventConnect, err)
		why = internalError().Message
	}
	if n != nil {
		s.client.moveSocket(s, n)
		return n
	}
	if s.end(&DisconnectError{Reason: ReasonServerNamespaceDisconnect}, true) {
		_ = s.client.reject(name, why) // it fails if there is nobody to tell
	}
	return nil
}

// connect decides about a CONNECT, on the socket's queue.
func (n *Namespace) connect(c *Ctx) {
	s := c.Socket
	defer s.client.limitAuth(s)
	s.id = s.client.newID(n)
	s.prepareRecovery()
	if err := n.admitSocket(c); err != nil && s.disconnectError() == nil {
		s.notRecovered(err)
		s.startAfresh()
		_ = n.admitSocket(c) // there is no session any more that could be at fault
	}
}

// admitSocket lets a client in, or refuses it. It returns an error if the client cannot
// continue its session, and nobody has decided whether it may begin a new one.
func (n *Namespace) admitSocket(c *Ctx) error {
	s, r := c.Socket, n.routes.Load()
	c.task.endpoint = r.connect
	if err := n.runConnectChain(c, r); err != nil {
		if s.Recovered() && isNotRecovered(err) {
			return err
		}
		s.refuse(err)
		return nil
	}
	if err := s.accept(c); err != nil || !s.accepted { // it has gone meanwhile
		return err
	}
	n.server.debug("socket connected", slog.String("ns", n.name), slog.String("sid", s.id))
	if err := callAll(c, slices.Concat(s.hooksFor(onAccept), r.onConnect)); err != nil {
		s.logFailure("OnConnect failed", eventConnect, err)
		_ = s.Disconnect() // it cannot fail but for being done already
	}
	return nil
}

// runConnectChain runs the connect chain, or what takes its place.
func (n *Namespace) runConnectChain(c *Ctx, r *routes) error {
	switch {
	case c.skipsMiddlewares():
		return callAll(c, c.hooksFor(onRecover))
	case r.connect.hasNoMiddleware():
		return nil
	default:
		return rescue.Apart(func() error { return r.connect.run(c) })
	}
}

// callAll calls handlers until one returns an error.
func callAll(c *Ctx, hs []Handler) error {
	if len(hs) == 0 {
		return nil
	}
	return rescue.Apart(func() error {
		for _, h := range hs {
			if err := h(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// connectFailed ends a socket after a failure that nobody expected in what connects
// it.
func (s *Socket) connectFailed(err error) {
	if !s.accepted {
		s.refuse(err)
		return
	}
	s.logFailure("connecting a socket failed", eventConnect, err)
	_ = s.Disconnect() // it cannot fail but for being done already
}

// runOnDisconnect runs the last functions of a socket, on its queue.
func (n *Namespace) runOnDisconnect(s *Socket) {
	why := s.disconnectError()
	n.server.debug("socket disconnected",
		slog.String("ns", n.name), slog.String("sid", s.id), slog.String("reason", string(why.Reason)))
	fs := n.routes.Load().onDisconnect
	rescue.Each(len(fs), func(i int) error {
		fs[i](s, why.Reason)
		return nil
	}, func(_ int, err error) { s.logFailure("OnDisconnect failed", eventDisconnect, err) })
}

// reportIfMeant returns what is left of the error of an event's handler. One that is meant
// for the client needs no care, and has to be cheap: any client may cause it.
func (n *Namespace) reportIfMeant(c *Ctx, err error) error {
	if _, meant := err.(*Error); !meant || n.server.opts.OnError != nil { //nolint:errorlint // others have methods of the application's
		return err
	}
	n.reportError(c, err)
	return nil
}

// handlerFailed is called with the error of an event's handler, or that it did not return.
func (n *Namespace) handlerFailed(c *Ctx, err error) {
	if onError := n.server.opts.OnError; onError != nil {
		err = rescue.Apart(func() error {
			onError(c, err)
			return nil
		})
		if err != nil {
			c.logFailure("OnError failed", c.Event(), err)
		}
		return
	}
	failed := rescue.Apart(func() error {
		n.reportError(c, err)
		return nil
	})
	if failed != nil && c.WantsAck() { // a method of Error.Data has ended the goroutine
		_ = rescue.Apart(func() error { return c.Ack(ackError{internalError()}.value()) })
	}
}

// reportError tells the client, if it waits for an answer, and the log.
func (n *Namespace) reportError(c *Ctx, err error) {
	c.logFailure("handler failed", c.Event(), err)
	if !c.WantsAck() {
		return
	}
	w, _ := toWire(err)
	// If the client still waits afterwards, Error.Data could not be encoded.
	// Other errors mean that there is nobody to answer to.
	if err := c.Ack(ackError{w}.value()); err != nil && c.WantsAck() {
		c.logFailure("encoding Error.Data failed", c.Event(), err)
		_ = c.Ack(ackError{internalError()}.value())
	}
}
