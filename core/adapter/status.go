package adapter

import (
	"fmt"
	"strings"
	"time"
)

// A Reporter is a [Cluster] that knows how it is. If servers share the Cluster, its Adapters
// can be Reporters instead: a server asks the Adapter of its root namespace first. The
// method is safe for concurrent use and does not wait for the network.
type Reporter interface {
	Status() Status
}

// A Status says how the connection of a server with its cluster is, at the time of asking.
type Status struct {
	Server  string    // this server's id in the cluster
	Healthy bool      // messages are sent, and those of others arrive
	Since   time.Time // when Healthy changed the last time
	Err     error     // why it is not healthy

	// Members are the other servers that are known by name: those that say so in
	// heartbeats. Servers of the official adapters for Redis do not. They are counted
	// when they are asked.
	Members []Member

	Queued      int    // messages that wait for the broker
	QueuedBytes int    // their size
	Sent        uint64 // messages that the broker has taken
	Received    uint64 // messages of other servers
	Lost        uint64 // messages of this server that the broker did not take, or may not have taken
	Refused     uint64 // messages from the broker that could not be read
	Gaps        uint64 // times after which messages of others may have been missed
}

// A Member is another server of a cluster.
type Member struct {
	ID       string
	Name     string // for people: host name and process id, unless the server is called otherwise
	LastSeen time.Time
}

// An ErrorNotifier is a [Cluster] that tells of errors: the broker cannot be reached, or can
// again (err is nil), messages were lost, a member was struck off. A server calls its method
// once, before Join. f does not wait for the network, and may be called concurrently.
type ErrorNotifier interface {
	NotifyErrors(f func(err error))
}

// A MissingError is the error of [Adapter.Ask] if servers have not answered. It matches the
// error of the context, if that has ended. The server passes it on: [errors.As] finds it
// in the errors of package sio.
type MissingError struct {
	Servers []string // ids of members that have not answered in full
	Unknown int      // number of servers that are not known by name and have not answered in full
	Err     error    // why nobody waits for them any longer
}

// Error implements error.
func (e *MissingError) Error() string {
	text := fmt.Sprintf("adapter: %d servers have not answered", len(e.Servers)+e.Unknown)
	if len(e.Servers) > 0 {
		text = fmt.Sprintf("adapter: %d servers have not answered, among them %s", len(e.Servers)+e.Unknown, strings.Join(e.Servers, ", "))
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the reason.
func (e *MissingError) Unwrap() error { return e.Err }

// A LogProvider is a [Cluster] that keeps the data of connection state recovery, so that
// clients can come back to any server. A server with recovery calls NewLog before Join,
// unless it has a log of its own. keep is how long a session can be claimed.
//
// Appending a message to the log can send it to the other servers. A server keeps to this
// order, so that nothing is sent twice:
//
//   - A message of its own that other servers have to get is passed to [Log.Append], if
//     that keeps such messages, and then to [Adapter.Publish], with the same pointer. So
//     Publish recognizes it. If Append returned an error, Publish has to send it.
//   - A message of its own with Local is only appended, and not published.
//   - Broadcasts that are [Message.Droppable], server-side events and requests are not appended.
//   - A message that was passed to [Node.Receive] is passed to Append within that call,
//     with the same pointer. It is not published. If the server cannot use it, it is not
//     appended either.
//
// Several namespaces may append and publish the same pointer, each to its own log and
// adapter, and different messages at the same time.
type LogProvider interface {
	NewLog(namespace string, keep time.Duration) Log
}
