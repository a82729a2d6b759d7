package adapter

import "context"

// A Log keeps what connection state recovery needs for one namespace: what was
// sent and done to clients, in order, and the sessions of clients whose connection
// was lost. It must be safe for concurrent use, and bound what it keeps by time
// and by size.
//
// A place in the log is called an offset: a string that only the log understands.
// Servers keep offsets as positions, and clients remember the offset of the last
// event that they got.
type Log interface { //nolint:interfacebloat // one store, in one order
	// Append keeps m, which is a Broadcast, Join, Leave or Disconnect, and calls
	// deliver once with its offset: a string that every later message has another
	// one than. Calls of deliver are in the order of the messages in the log and
	// do not overlap. deliver does not block and does not call the Log.
	//
	// Append must not wait for a network. A Log that has one calls deliver later,
	// from a goroutine of its own, and bounds what waits for that. If it cannot
	// keep m, it calls deliver with "" when it is m's turn: the client gets m, and
	// nobody recovers it. An error means that deliver was not called and will not
	// be.
	Append(m *Message, deliver func(offset string)) error

	// End returns the offset of the last message in the log; while there is none,
	// another string that the offsets of all messages to come are after. It does
	// not wait for a network.
	End() string

	// Compare returns a negative number if offset a is before b, a positive one if
	// it is after b, and 0 if they are the same. Both come from End, from deliver,
	// or from a client whose session was given out by Claim.
	Compare(a, b string) int

	// Save keeps the session of a client that has gone, to be claimed for as
	// long as the log says.
	Save(ctx context.Context, s *Session) error

	// Claim takes the session with that private id out, so that nobody else can
	// have it. It returns [ErrUnknownSession] if there is none, if it is too
	// old, or if the offset is not known any more.
	Claim(ctx context.Context, pid, offset string) (*Session, error)

	// Replay calls f for the messages after offset, in order, until these have
	// limit bytes, but for one at least if there is one. It reports whether there
	// are more. If there are none, and last is not nil, it calls last: between what
	// f is called for and last no message is delivered by Append, so that a client
	// which last makes a receiver of what is delivered misses nothing and gets
	// nothing twice. f and last neither block nor call the Log, other than Compare.
	//
	// Several calls may run at the same time, and Append must not have to wait for
	// more than one piece of that size. If the offset is not known any more, Replay
	// returns an error that matches [ErrUnknownOffset], and calls nothing.
	Replay(ctx context.Context, offset string, limit int, f func(m *Message, offset string), last func()) (more bool, err error)

	// Close frees what the Log holds. It is not used afterwards.
	Close() error
}

// A Session is what is kept of a client whose connection was lost. Its fields
// besides PID mean nothing to a [Log], which gives them back as they are.
type Session struct {
	ID   string // of its socket
	PID  string // private: whoever knows it may continue the session
	Data []byte // JSON object: the values of data keys, by name

	// Rooms are the rooms that the client is in, its id among them, and those
	// that it has left. What was emitted to a room before it was in there, or
	// afterwards, is not for this client.
	Rooms []Stay

	// From is where the client connected, or what it said that it has got: nothing
	// before that is replayed.
	From string

	// Complete is where Rooms begin to be complete, From or later: the client can
	// recover only if it got everything until then.
	Complete string

	// Left is where the client ceased to be a receiver. What was done to its rooms
	// until then is in Rooms; what was done later is in the log.
	Left string

	// Tried, if not "", is the offset that the client had when it came back the
	// last time and was sent what it missed.
	Tried string

	// Local is only kept by logs in the memory of the server that saves and
	// claims; others leave it nil.
	Local any
}

// A Stay is the time that a client spends in a room. It gets what is emitted to
// the room at offsets after From up to and including To.
type Stay struct {
	Room   string
	From   string
	To     string // "" while the client is in the room
	Pinned bool   // only Unpin takes it out
}
