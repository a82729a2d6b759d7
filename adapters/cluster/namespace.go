package cluster

import (
	"context"
	"fmt"
	"sync"

	"github.com/sioplug/sioplug/core/adapter"
)

// A namespace is the part of a server in a namespace of the cluster. It implements
// [adapter.Adapter].
type namespace struct {
	cluster *Cluster
	link    *link
	name    string
	node    adapter.Node
	ctx     context.Context //nolint:containedctx // ends when the server leaves
	cancel  context.CancelFunc

	mu        sync.Mutex
	closed    bool
	receiving sync.WaitGroup // calls of node.Receive; Add is called with mu held
	left      chan struct{}  // closed when Close has been done
	requests  map[string]*request
	answers   map[answerKey]context.CancelFunc
}

func newNamespace(c *Cluster, l *link, name string, node adapter.Node) *namespace {
	n := &namespace{
		cluster: c, link: l, name: name, node: node, left: make(chan struct{}),
		requests: make(map[string]*request), answers: make(map[answerKey]context.CancelFunc),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Publish implements [adapter.Adapter].
func (n *namespace) Publish(m *adapter.Message) error {
	if n.ctx.Err() != nil {
		return errClosed
	}
	t, err := typeOf(m.Kind)
	if err != nil {
		return err
	}
	return n.link.send(&Packet{Type: t, From: n.link.self, Namespace: n.name, Message: m})
}

// typeOf returns the type of a message.
func typeOf(k adapter.Kind) (Type, error) {
	switch k {
	case adapter.Broadcast:
		return Broadcast, nil
	case adapter.Join:
		return SocketsJoin, nil
	case adapter.Leave:
		return SocketsLeave, nil
	case adapter.Disconnect:
		return DisconnectSockets, nil
	case adapter.ServerEvent:
		return ServerSideEmit, nil
	case adapter.Fetch, adapter.Count:
		return FetchSockets, nil
	default:
		return 0, fmt.Errorf("cluster: no message of kind %d can be sent", k)
	}
}

// receive takes a message or a request of another server.
func (n *namespace) receive(p *Packet) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return
	}
	n.receiving.Add(1)
	n.mu.Unlock()
	defer n.receiving.Done()
	switch {
	case p.Message == nil:
	case p.RequestID != "":
		n.beginAnswer(p)
	case p.Message.Kind != adapter.Fetch:
		n.node.Receive(p.Message)
	}
}

// Close implements [adapter.Adapter].
func (n *namespace) Close() error {
	n.mu.Lock()
	first := !n.closed
	n.closed = true
	n.mu.Unlock()
	if !first {
		<-n.left
		return nil
	}
	n.cancel()
	n.cluster.leave(n)
	n.receiving.Wait()
	close(n.left)
	return nil
}

// A roomWatcher is a namespace whose broker subscribes to single rooms. It implements
// [adapter.RoomWatcher].
type roomWatcher struct {
	*namespace

	broker RoomSubscriber
}

// RoomCreated implements [adapter.RoomWatcher].
func (w *roomWatcher) RoomCreated(room string) {
	if w.ctx.Err() == nil {
		w.broker.RoomCreated(w.name, room)
	}
}

// RoomDeleted implements [adapter.RoomWatcher].
func (w *roomWatcher) RoomDeleted(room string) {
	if w.ctx.Err() == nil {
		w.broker.RoomDeleted(w.name, room)
	}
}
