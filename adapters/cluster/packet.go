package cluster

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// A Type is the type of a [Packet].
type Type uint8

// The types of the official cluster adapters, with their values there.
const (
	InitialHeartbeat       Type = iota + 1 // a server has started; all others answer with a Heartbeat
	Heartbeat                              // a server is there
	Broadcast                              // a message; with RequestID, its acks are wanted
	SocketsJoin                            // a message
	SocketsLeave                           // a message
	DisconnectSockets                      // a message
	FetchSockets                           // a request
	FetchSocketsResponse                   // Reply.Sockets
	ServerSideEmit                         // a message; with RequestID, the results of its handlers are wanted
	ServerSideEmitResponse                 // Reply.Ack, of which the first value is sent
	BroadcastClientCount                   // Clients: how many clients of a server were asked
	BroadcastAck                           // Reply.Ack, of which the first value is sent
	AdapterClose                           // a server ends
)

// Types that only servers of this module send, to each other. Others ignore them.
const (
	Answer  Type = iota + 64 // Reply, in full, to a request of a server of this module; Done with the last one
	Cancel                   // the sender of the request RequestID does not wait for answers any more
	Resync                   // the receiver To is asked to send a Heartbeat with all its namespaces
	Relayed                  // Bytes for the server To: see [Cluster.Relay]
)

// A Packet is what servers of a cluster send each other. It is immutable. Which fields are
// set depends on its type.
type Packet struct {
	Type      Type
	From      string // id of the server that sends it; "" if unknown, "emitter" for a process that is no server
	Namespace string // "" for what is about servers: heartbeats, AdapterClose and Resync
	To        string // id of the only server that needs it; "" for all. Of a response, the server that asked.

	RequestID string           // of a request and of its responses; unique for each server that asks
	Message   *adapter.Message // of messages and requests
	Timeout   time.Duration    // of requests: how long the sender waits; 0 if it does not say

	Reply   *adapter.Reply // of responses; its Server is not sent
	Clients int            // of BroadcastClientCount
	Part    int            // of Answer: its number among those of one server, from 1; 0 if the sender does not say
	Done    bool           // of Answer: it is the last one

	Presence *Presence // of heartbeats of servers of this module

	Bytes []byte // of Relayed
}

// A Presence says who a server is and in which namespaces it is.
type Presence struct {
	Name    string // for people: host name and process id
	Version uint64 // number of changes of its namespaces

	// All, in the answer to InitialHeartbeat and Resync, says that Namespaces are all of
	// them, or the first ones; More says that others follow. Otherwise Joined or Left is
	// the change that made Version, or there was none.
	All        bool
	More       bool
	Namespaces []string
	Joined     string
	Left       string

	// Address and Prefix are the location of the server: see [Cluster.Announce]. They are
	// empty if it has none. A server that is reached over the broker has a Prefix alone.
	Address string
	Prefix  string
}

// idPrefix begins the id of every server of this module. The ids of the official adapters
// are hexadecimal or six characters long, so a server knows which others understand Answer.
const (
	idPrefix = "go"
	idLength = 16
)

// newID returns the id of a server of this module.
func newID() string { return idPrefix + strings.ToLower(rand.Text()[:idLength-len(idPrefix)]) }

// countPrefix begins the id of a request of FetchSockets whose sender needs only the number
// of sockets. Servers of this module answer with that; official ones describe the sockets.
const countPrefix = "n"

// newRequestID returns the id of a request.
func newRequestID(k adapter.Kind) string {
	first := "r"
	if k == adapter.Count {
		first = countPrefix
	}
	return first + strings.ToLower(rand.Text()[:idLength-len(first)])
}

// requestedKind returns the kind of a request.
func (p *Packet) requestedKind() adapter.Kind {
	if p.Message.Kind == adapter.Fetch && IsOurs(p.From) && strings.HasPrefix(p.RequestID, countPrefix) {
		return adapter.Count
	}
	return p.Message.Kind
}

// size is about how many bytes the packet keeps.
func (p *Packet) size() int {
	const fixed = 256
	n := fixed + len(p.Bytes)
	if m := p.Message; m != nil {
		n += len(m.Data)
		for _, a := range m.Attachments {
			n += len(a)
		}
		for _, names := range [][]string{m.Rooms, m.Target.Rooms, m.Target.Except} {
			for _, name := range names {
				n += len(name)
			}
		}
	}
	if r := p.Reply; r != nil {
		if r.Ack != nil {
			n += len(r.Ack.Data)
			for _, a := range r.Ack.Attachments {
				n += len(a)
			}
		}
		for i := range r.Sockets {
			n += socketSize(&r.Sockets[i])
		}
		for _, id := range r.Expected {
			n += len(id)
		}
	}
	if s := p.Presence; s != nil {
		for _, name := range s.Namespaces {
			n += len(name)
		}
	}
	return n
}

func socketSize(s *adapter.Socket) int {
	n := len(s.ID) + len(s.Data) + len(s.Handshake)
	for _, room := range s.Rooms {
		n += len(room)
	}
	return n
}

// IsOurs reports whether a server with that id understands the types that only servers of
// this module send.
func IsOurs(id string) bool { return len(id) == idLength && strings.HasPrefix(id, idPrefix) }

// IsResponse reports whether packets of that type answer a request, or are for one server for
// another reason. They go to the server To alone, if the broker is able to do that.
func (t Type) IsResponse() bool {
	return t == FetchSocketsResponse || t >= ServerSideEmitResponse && t <= BroadcastAck || t == Answer || t == Relayed
}
