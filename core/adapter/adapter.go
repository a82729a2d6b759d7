// Package adapter is the seam between a Socket.IO server and the cluster it is
// part of: other servers with the same namespaces, whose clients broadcasts
// reach too. Only those who connect a broker need it; everybody else sets
// [Options.Adapter] to one that there is.
//
// It also has the event log that connection state recovery needs. Whoever implements
// a [Cluster] or a [Log] finds the tests for that in package siotest.
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
	// Join makes node part of the cluster's namespace of that name, and returns
	// the way from node to the others. The cluster calls node from then on,
	// also before Join has returned, until the Adapter is closed. Join does not
	// wait for the network: while the broker is away, [Adapter.Publish] and
	// [Adapter.Ask] say so, and clients of the same server reach each other.
	Join(namespace string, node Node) Adapter
}

// An Adapter is the way from one server's namespace to those of the same name on
// other servers. It must be safe for concurrent use.
type Adapter interface {
	// Publish tells all other servers, which do to their own clients what m
	// says. What one server publishes has to arrive in that order. Publish must
	// not wait for the network: it queues, and returns an error if m cannot be
	// queued. It must not change m, which it may keep.
	Publish(m *Message) error

	// Ask is Publish for a message that is answered: it keeps its place among
	// those that are published. It calls reply for every reply, one at a time,
	// until all servers have answered in full or have left; then it returns nil.
	// If ctx ends before, it returns an error that matches the context's; if some
	// servers' answers are known not to come, one that says how many are missing.
	Ask(ctx context.Context, m *Message, reply func(*Reply)) error

	// Close leaves the cluster, and may be called more than once. It waits for
	// calls of Receive that have begun. Afterwards neither node nor reply is
	// called any more, and the other methods return [ErrClosed], also those that
	// are still running. Answers that have begun may go on: nobody wants them,
	// which their contexts tell.
	Close() error
}

// A Node is a server's own part of a namespace; servers implement it. It is safe
// for concurrent use.
type Node interface {
	// Receive does what m says to this server's own clients, or calls its
	// handlers of server-side events. It neither waits nor keeps other messages
	// waiting, and keeps m, which must not change. Messages of one server have
	// to be handed over in the order in which it published them.
	Receive(m *Message)

	// Answer does what m says and calls reply, one call at a time, until there
	// is nothing more to say or ctx ends; then it returns. It is called, on a
	// goroutine of its own, when what the same server published before has been
	// received.
	Answer(ctx context.Context, m *Message, reply func(*Reply))
}

// A RoomWatcher is an [Adapter] that wants to know which rooms have members on
// this server, to subscribe to those alone. A socket's id is a room, too.
type RoomWatcher interface {
	// RoomCreated is called when a room has got its first member, RoomDeleted
	// when the last one has left: for each room in turn, and one call at a time
	// for all rooms. They must not wait for the network.
	RoomCreated(room string)
	RoomDeleted(room string)
}

// A Kind tells what a message is about.
type Kind uint8

// The kinds of messages.
const (
	Broadcast   Kind = iota + 1 // emit an event to clients; asked for, to collect their acks
	Join                        // have clients join rooms
	Leave                       // have clients leave rooms
	Disconnect                  // disconnect clients
	ServerEvent                 // call the handlers of a server-side event; asked for, to collect what they return
	Fetch                       // only asked for: describe clients
)

// A Message is what one server has to say to others. It is immutable.
type Message struct {
	Kind   Kind
	Target Target // of all kinds but ServerEvent: which clients

	// Data is a JSON array of an event's name and arguments, for Broadcast and
	// ServerEvent. Binary values are in Attachments; in Data, the object
	// {"_placeholder":true,"num":0} stands for the first one, and so on.
	Data        []byte
	Attachments [][]byte

	Rooms      []string // for Join and Leave
	Pin        bool     // for Join and Leave, in a [Log] only: as Socket.Pin and Unpin of package sio do
	Close      bool     // for Disconnect: end the clients' connections
	Volatile   bool     // for Broadcast: drop the event for clients that are not ready
	NoCompress bool     // for Broadcast: do not compress the event
}

// A Target selects clients: those in any of Rooms (all if there are none) that
// are in none of Except. A socket's id counts as a room that it is alone in.
type Target struct {
	Rooms  []string
	Except []string
}

// A Reply is one answer to a message, or a part of it.
type Reply struct {
	// Server names the server that answers. Empty if the broker does not tell.
	Server string

	// Expected, in the first reply of each server to a Broadcast, are the ids of
	// the clients whose acks will follow. If the server tells no ids, they are
	// empty strings; their number counts.
	Expected []string

	// Ack is a client's answer to a Broadcast, or that of the handler of a
	// ServerEvent.
	Ack *Ack

	// Sockets are the answer to a Fetch; nil otherwise.
	Sockets []Socket
}

// An Ack is what a client acknowledged, or what the handler of a server-side
// event returned.
type Ack struct {
	Socket      string // the client's id; "" if the server does not tell
	Data        []byte // JSON array of values
	Attachments [][]byte
	Gone        bool   // the client has disconnected instead
	Error       string // the handler of a ServerEvent failed: what others may know about it
}

// A Socket describes a client of another server, at the time of asking.
type Socket struct {
	ID        string
	Rooms     []string
	Data      []byte // JSON object: the values of data keys, by name
	Handshake []byte // JSON object, with the members that the JavaScript server has
}
