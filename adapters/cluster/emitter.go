package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/packet"
)

// An Emitter sends to the clients of a cluster from a process that is no server, such as a
// job or a command. Take the one of the package whose adapter the servers have.
//
// Like sio.Broadcast, an Emitter is a value that stands for a set of clients of one
// namespace: all of them, until To or Except select some. Every method that selects
// returns a new one. It can be kept, shared and used by many goroutines.
//
// The other methods wait until the broker has the message, which is then on its way to the
// servers. They do not wait for servers, and need none. If there is an error, the message
// may have been sent nevertheless. It is not sent again, so it never arrives twice.
type Emitter struct {
	out          func(ctx context.Context, p *Packet) error
	namespace    string
	rooms        []string
	except       []string
	volatile     bool
	uncompressed bool
}

// NewEmitter returns an emitter for the root namespace. send is for packages with a [Broker]:
// it passes a packet to the broker, once, and waits until the broker has it. It may be called
// by several goroutines at the same time.
func NewEmitter(send func(ctx context.Context, p *Packet) error) Emitter {
	return Emitter{out: send, namespace: root}
}

// emitterID is the sender of the messages of emitters.
const emitterID = "emitter"

// Of returns the set of all clients of a namespace. The slash in front may be missing.
func (e Emitter) Of(namespace string) Emitter {
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	return Emitter{out: e.out, namespace: namespace}
}

// To returns the set with the clients in these rooms added. A set without any room has
// all clients. A client is in a room with its id.
func (e Emitter) To(rooms ...string) Emitter {
	e.rooms = slices.Concat(e.rooms, rooms)
	return e
}

// In is [Emitter.To].
func (e Emitter) In(rooms ...string) Emitter { return e.To(rooms...) }

// Except returns the set without the clients in these rooms.
func (e Emitter) Except(rooms ...string) Emitter {
	e.except = slices.Concat(e.except, rooms)
	return e
}

// Volatile returns the set for volatile events: a client that is not ready to receive does
// not get them.
func (e Emitter) Volatile() Emitter {
	e.volatile = true
	return e
}

// Compress returns the set for events that are compressed, or not, where the connection
// allows it. By default they are compressed.
func (e Emitter) Compress(on bool) Emitter {
	e.uncompressed = !on
	return e
}

// Emit sends an event to the clients in the set. Arguments are encoded as servers do it:
// []byte at any depth is binary data, other values are JSON. Clients may refuse an event
// with more than 10 binary values.
func (e Emitter) Emit(ctx context.Context, event string, args ...any) error {
	if packet.Reserved(event) {
		return fmt.Errorf("cluster: the event name %q is reserved: use another one", event)
	}
	m := e.message(adapter.Broadcast)
	m.Volatile, m.NoCompress = e.volatile, e.uncompressed
	return e.emit(ctx, Broadcast, m, event, args)
}

// ServerSideEmit sends an event to the servers: those that have the namespace call their
// handler, which is set by Namespace.OnServerEvent. Rooms do not matter.
func (e Emitter) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	if packet.Reserved(event) || event == "connection" || event == "new_namespace" {
		return fmt.Errorf("cluster: the event name %q is reserved: use another one", event)
	}
	return e.emit(ctx, ServerSideEmit, &adapter.Message{Kind: adapter.ServerEvent}, event, args)
}

func (e Emitter) emit(ctx context.Context, t Type, m *adapter.Message, event string, args []any) (err error) {
	m.Data, m.Attachments, err = packet.AppendEventData(nil, nil, event, args)
	if err == nil {
		err = packet.CheckWire(m.Data, len(m.Attachments))
	}
	if err != nil {
		return fmt.Errorf("cluster: encoding %q: %w", event, err)
	}
	if err := e.send(ctx, t, m); err != nil {
		return fmt.Errorf("cluster: emitting %q: %w", event, err)
	}
	return nil
}

// Join puts the clients in the set into these rooms.
func (e Emitter) Join(ctx context.Context, rooms ...string) error {
	m := e.message(adapter.Join)
	m.Rooms = rooms
	return e.change(ctx, SocketsJoin, m, "joining rooms")
}

// Leave takes the clients in the set out of these rooms.
func (e Emitter) Leave(ctx context.Context, rooms ...string) error {
	m := e.message(adapter.Leave)
	m.Rooms = rooms
	return e.change(ctx, SocketsLeave, m, "leaving rooms")
}

// Disconnect makes the clients in the set leave the namespace.
func (e Emitter) Disconnect(ctx context.Context) error {
	return e.change(ctx, DisconnectSockets, e.message(adapter.Disconnect), "disconnecting clients")
}

// Close disconnects the clients in the set from all namespaces and ends their connections.
func (e Emitter) Close(ctx context.Context) error {
	m := e.message(adapter.Disconnect)
	m.Close = true
	return e.change(ctx, DisconnectSockets, m, "closing connections")
}

func (e Emitter) change(ctx context.Context, t Type, m *adapter.Message, what string) error {
	if err := e.send(ctx, t, m); err != nil {
		return fmt.Errorf("cluster: %s: %w", what, err)
	}
	return nil
}

func (e Emitter) message(k adapter.Kind) *adapter.Message {
	return &adapter.Message{Kind: k, Target: adapter.Target{Rooms: e.rooms, Except: e.except}}
}

func (e Emitter) send(ctx context.Context, t Type, m *adapter.Message) error {
	return e.out(ctx, &Packet{Type: t, From: emitterID, Namespace: e.namespace, Message: m})
}
