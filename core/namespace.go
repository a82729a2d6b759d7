package sio

import (
	"sync"
	"sync/atomic"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rooms"
	"github.com/sioplug/sioplug/internal/serial"
)

// A Namespace is a part of a server with its own clients, rooms and handlers. Register
// handlers before clients connect: a packet meets the handlers that are registered when
// it comes. All methods are safe for concurrent use.
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
	ownServerEvents     serial.Queue[serverEventTask] // those of this module's packages
	droppedServerEvents atomic.Int64                  // server-side events, since its handlers caught up
	unsendable          unsendable
	closeOnce           sync.Once
	ownClosing          func() // of a package of this module

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

// Parent returns the namespace of [Server.OfFunc] or [Server.OfRegexp] that has made this
// one for a client, nil for other namespaces. Clients choose the names of these namespaces:
// use those of their parents to label metrics and traces.
func (n *Namespace) Parent() *Namespace { return n.parent }

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
