// Package adapter has the interfaces between a Socket.IO server and its cluster. A
// cluster is several servers with the same namespaces. A broadcast of one server reaches
// the clients of all of them. You need this package to write an adapter for a broker. To
// use an existing adapter, set [Options.Adapter].
//
// The package also has the [Log] that connection state recovery needs. Package siotest
// has test suites for implementations of [Cluster] and [Log].
//
// [Options.Adapter]: https://pkg.go.dev/github.com/sioplug/sioplug/core#Options
package adapter

import (
	"context"
	"errors"
)

// ErrClosed is returned by the methods of an [Adapter] that was closed.
var ErrClosed = errors.New("adapter: closed")

// A Cluster connects servers. It must be safe for concurrent use.
type Cluster interface {
	// Join makes node part of the cluster's namespace of that name. The returned
	// Adapter sends messages from node to the others. The cluster may call node
	// before Join has returned, and until the Adapter is closed. Join does not wait
	// for the network. While the broker is unavailable, [Adapter.Publish] and
	// [Adapter.Ask] return errors, and clients of the same server still reach each
	// other.
	//
	// A server may leave a namespace and join it again later, for example when clients
	// come back to the child of a dynamic namespace. It calls Join only after Close of
	// the former Adapter has returned. So an Adapter may subscribe by the name of the
	// namespace alone.
	Join(namespace string, node Node) Adapter
}

// An Adapter sends messages from one server's namespace to the namespaces of the same
// name on other servers. It must be safe for concurrent use.
type Adapter interface {
	// Publish sends m to all other servers, which apply it to their own clients. The
	// messages of one server have to arrive in the order of its calls. Publish must
	// not wait for the network: it queues m, and returns an error if it cannot. It may
	// keep m, but must not change it.
	Publish(m *Message) error

	// Ask is Publish for a message that the other servers answer. The message keeps
	// its place in the order of published messages. Ask calls reply for every reply,
	// one call at a time. When all servers have answered in full or have left, it
	// returns nil. If ctx ends first, the error matches that of the context. If the
	// adapter knows which answers are missing, the error is a [MissingError].
	Ask(ctx context.Context, m *Message, reply func(*Reply)) error

	// Close leaves the cluster. It may be called more than once. It waits for running
	// calls of Receive. Afterwards neither node nor reply is called any more. The other
	// methods return [ErrClosed], and so do calls of them that are still running. Calls
	// of Answer may still run: the adapter cancels their contexts.
	Close() error
}

// A Node is a server's own part of a namespace; servers implement it. It is safe
// for concurrent use.
type Node interface {
	// Receive applies m to this server's own clients, or calls its handlers of
	// server-side events. It does not block. It keeps m, which must not change. The
	// messages of one server have to be passed to it in the order in which that server
	// published them.
	Receive(m *Message)

	// Answer applies m and calls reply, one call at a time. It returns after the last
	// reply, or when ctx ends. The adapter calls it on a goroutine of its own, after
	// Receive has returned for all earlier messages of the same server.
	Answer(ctx context.Context, m *Message, reply func(*Reply))
}

// A RoomWatcher is an [Adapter] that is told which rooms have members on this server, so
// that it can subscribe to these rooms alone. A socket's id is a room, too.
type RoomWatcher interface {
	// RoomCreated is called when the first member has joined a room, RoomDeleted when
	// the last member has left it. For each room, the two alternate. For all rooms
	// together, there is one call at a time. They must not wait for the network.
	RoomCreated(room string)
	RoomDeleted(room string)
}

// A Kind is the kind of a [Message].
type Kind uint8

// The kinds of messages.
const (
	Broadcast   Kind = iota + 1 // emit an event to clients; with Ask, to collect their acks
	Join                        // have clients join rooms
	Leave                       // have clients leave rooms
	Disconnect                  // disconnect clients
	ServerEvent                 // call the handlers of a server-side event; with Ask, to collect their results
	Fetch                       // describe clients; only with Ask
	Count                       // count clients; only with Ask
)

// A Message is sent from one server to the others. It is immutable.
type Message struct {
	Kind   Kind
	Target Target // which clients; unused for ServerEvent

	// Data is for Broadcast and ServerEvent: a JSON array of the event's name and
	// arguments. Binary values are in Attachments. In Data, the object
	// {"_placeholder":true,"num":0} stands for the first one, and so on. Each
	// attachment has exactly one such object. If an object of the application looks
	// like that, its name has an escape: "\u005fplaceholder". So pass Data on
	// unchanged.
	Data        []byte
	Attachments [][]byte

	Rooms      []string // for Join and Leave
	Pin        bool     // for Join and Leave that go to a [Log]: as Socket.Pin and Unpin of package sio do
	Close      bool     // for Disconnect: end the clients' connections
	Volatile   bool     // for Broadcast: drop the event for clients that are not ready
	NoCompress bool     // for Broadcast: do not compress the event
	DropOldest int      // for Broadcast: so many events of this name may wait for a client, and the oldest are dropped; 0: any number
	Latest     string   // for Broadcast: if not "", the event replaces a waiting event with the same key
	Local      bool     // in a [Log] only: the message is for this server's own clients, and other servers do not get it
}

// Droppable reports whether m is a broadcast that clients may miss. Such messages are not
// kept in a [Log].
func (m *Message) Droppable() bool { return m.Volatile || m.DropOldest > 0 || m.Latest != "" }

// A Target selects the clients that are in any of Rooms and in none of Except. Without
// Rooms, it selects all clients that are in none of Except. A socket's id counts as a
// room with that one client.
type Target struct {
	Rooms  []string
	Except []string
}

// A Reply is one answer to a message, or a part of it.
type Reply struct {
	// Server names the server that answers. It may be empty if the broker does not
	// know it.
	Server string

	// Expected is set in the first reply of each server to a Broadcast: the ids of the
	// clients whose acks will follow. If the server does not know the ids, it sends as
	// many empty strings.
	Expected []string

	// Ack is the answer of a client to a Broadcast, or of the handler of a ServerEvent.
	Ack *Ack

	// Sockets is the answer to a Fetch, nil for other messages.
	Sockets []Socket

	// Clients is the answer to a Count: how many clients of the server are in the target.
	Clients int
}

// An Ack is the acknowledgement of a client, or the result of the handler of a
// server-side event.
type Ack struct {
	Socket      string // the client's id; "" if the server does not know it
	Data        []byte // JSON array of values
	Attachments [][]byte
	Gone        bool   // the client has disconnected instead
	Dropped     bool   // the event was volatile and was not sent to the client
	Blocked     bool   // the answer cannot be read: too many earlier events of the client wait for handlers
	Error       string // the handler of a ServerEvent failed: the text that other servers may see
}

// A Socket describes a client of another server, at the time of asking.
type Socket struct {
	ID        string
	Rooms     []string
	Data      []byte // JSON object: the values of data keys, by name
	Handshake []byte // JSON object, with the members that the JavaScript server has
}
