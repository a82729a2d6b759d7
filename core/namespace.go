package sio

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/internal/rescue"
	"github.com/sioplug/sioplug/core/internal/rooms"
	"github.com/sioplug/sioplug/core/internal/serial"
)

// A Namespace is a part of a server with clients, rooms and handlers of its
// own. Register handlers before clients connect: a client meets those that are
// there when its packet is handled. All methods are safe for concurrent use.
type Namespace struct {
	server *Server
	name   string
	alone  [1]*Namespace // itself: see members
	family *family       // of a parent; nil for others
	parent *Namespace    // of a child; nil for others
	ready  chan struct{} // nil, or closed when clients may enter

	index  *rooms.Index[*Socket]
	ackIDs atomic.Uint64
	routes atomic.Pointer[routes]

	adapter      adapter.Adapter // nil without a cluster
	log          adapter.Log     // nil without recovery
	journal      *journal        // of the log
	live         atomic.Bool     // these are set
	byPID        sync.Map        // private ids to the sockets that have them now
	serverEvents serial.Queue[serverTask]
	closing      sync.Once

	mu      sync.Mutex  // also serializes registrations
	clients int         // of a child: connected, or about to be
	pinned  bool        // never to end
	ended   bool        // removed from the server
	expiry  *time.Timer // ends it unless clients come back
}

func newNamespace(s *Server, name string) *Namespace {
	n := &Namespace{server: s, name: name, index: rooms.NewIndex[*Socket]()}
	n.alone[0] = n
	r := &routes{onEvent: map[string]route{}, onServer: map[string]ServerHandler{}}
	r.compose()
	n.routes.Store(r)
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

// connect decides about a CONNECT, on the socket's queue.
func (n *Namespace) connect(c *Ctx) {
	s := c.Socket
	s.id = s.client.newID(n)
	s.prepare()
	if err := n.decide(c); err != nil && s.whyEnded() == nil {
		s.notRecovered(err)
		s.startAfresh()
		_ = n.decide(c) // there is no session any more that could be at fault
	}
}

// decide lets a client in, or refuses it. It returns an error if the client cannot
// continue its session, and nobody has decided whether it may begin a new one.
func (n *Namespace) decide(c *Ctx) error {
	s, r := c.Socket, n.routes.Load()
	deciding := []Handler{r.connect}
	if s.skipsMiddlewares() {
		deciding = s.hooked(onRecover)
	}
	for _, h := range deciding {
		if err := rescue.Call(func() error { return h(c) }); err != nil {
			s.refuse(err)
			return nil
		}
	}
	if err := s.accept(); err != nil || !s.accepted { // it has gone meanwhile
		return err
	}
	n.server.debug("socket connected", slog.String("ns", n.name), slog.String("sid", s.id))
	for _, h := range slices.Concat(s.hooked(onAccept), r.onConnect) {
		if err := rescue.Call(func() error { return h(c) }); err != nil {
			s.logFailure("OnConnect failed", eventConnect, err)
			_ = s.Disconnect() // it cannot fail but for being done already
			return nil
		}
	}
	return nil
}

// disconnected runs the last functions of a socket, on its queue.
func (n *Namespace) disconnected(s *Socket) {
	why := s.whyEnded()
	n.server.debug("socket disconnected",
		slog.String("ns", n.name), slog.String("sid", s.id), slog.String("reason", string(why.Reason)))
	for _, f := range n.routes.Load().onLeave {
		err := rescue.Call(func() error { f(s, why.Reason); return nil })
		if err != nil {
			s.logFailure("OnDisconnect failed", eventDisconnect, err)
		}
	}
}

// dispatch runs the handler of an event, on the socket's queue.
func (n *Namespace) dispatch(c *Ctx) {
	err := rescue.Call(func() error { return c.in.handler(c) })
	switch {
	case err == nil:
	case n.server.opts.OnError != nil:
		if err := rescue.Call(func() error { n.server.opts.OnError(c, err); return nil }); err != nil {
			c.logFailure("OnError failed", c.Event(), err)
		}
	default:
		n.fail(c, err)
	}
}

// fail tells the client, if it waits for an answer, and the log.
func (n *Namespace) fail(c *Ctx, err error) {
	c.logFailure("handler failed", c.Event(), err)
	if !c.WantsAck() {
		return
	}
	w, _ := toWire(err)
	// If the client still waits afterwards, Error.Data could not be encoded.
	// Other errors mean that there is nobody to answer to.
	if err := c.Ack(failure{w}); err != nil && c.WantsAck() {
		c.logFailure("encoding Error.Data failed", c.Event(), err)
		_ = c.Ack(failure{internalError()})
	}
}
