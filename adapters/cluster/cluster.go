package cluster

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/misuse"
)

var errClosed = adapter.ErrClosed

// A Cluster connects one server with others over a [Broker]. It implements
// [adapter.Cluster], [adapter.Reporter] and [adapter.ErrorNotifier]. Each server needs a
// Cluster of its own.
type Cluster struct {
	newBroker func() Broker
	opts      Options
	counters  counters
	own       ownLocation
	relayed   atomic.Pointer[func(from string, data []byte)] // of OnRelay

	mu     sync.RWMutex
	link   *link                 // nil if the server is in no namespace
	spaces map[string]*namespace // by name

	notify atomic.Pointer[func(err error)]
}

// counters count since the cluster was made.
type counters struct {
	sent, received, lost, refused, gaps atomic.Uint64
}

// New returns a cluster whose servers are connected by brokers of one kind. newBroker
// returns one that was not started yet.
func New(newBroker func() Broker, o Options) *Cluster {
	return &Cluster{newBroker: newBroker, opts: o.withDefaults(), spaces: make(map[string]*namespace)}
}

// NotifyErrors implements [adapter.ErrorNotifier].
func (c *Cluster) NotifyErrors(f func(err error)) { c.notify.Store(&f) }

// report calls the function of NotifyErrors.
func (c *Cluster) report(err error) {
	if f := c.notify.Load(); f != nil {
		(*f)(err)
	}
}

// Join implements [adapter.Cluster].
func (c *Cluster) Join(name string, node adapter.Node) adapter.Adapter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spaces[name] != nil {
		misuse.Panic(fmt.Sprintf("cluster: namespace %s is in the cluster already: each server needs an adapter of its own", name))
	}
	started := c.link == nil
	if started {
		c.link = newLink(c)
	}
	n := newNamespace(c, c.link, name, node)
	c.spaces[name] = n
	if started {
		c.link.start()
	}
	c.link.broker.Subscribe(name)
	if rooms, ok := c.link.broker.(RoomSubscriber); ok && rooms.WatchesRooms() {
		return &roomWatcher{n, rooms}
	}
	return n
}

// leave takes a namespace out of the cluster. With the last one, the connection ends.
func (c *Cluster) leave(n *namespace) {
	c.mu.Lock()
	delete(c.spaces, n.name)
	n.link.broker.Unsubscribe(n.name)
	n.link.presence.left(n.name)
	last := len(c.spaces) == 0
	if last {
		c.link = nil
	}
	c.mu.Unlock()
	if last {
		n.link.close()
	}
}

// namespace returns the namespace of that name, if the server is in it over that link.
func (c *Cluster) namespace(l *link, name string) *namespace {
	c.mu.RLock()
	n := c.spaces[name]
	c.mu.RUnlock()
	if n == nil || n.link != l {
		return nil
	}
	return n
}
