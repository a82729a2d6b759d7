package adapter

import "context"

// A Log keeps the data of connection state recovery for one namespace. This is the
// sequence of messages that were applied to clients, and the sessions of clients whose
// connection was lost. It must be safe for concurrent use. It has to bound the kept data
// by time and by size.
//
// An offset is a place in the log: a string that only the log understands. Servers keep
// offsets as positions. Clients remember the offset of the last event that they got.
type Log interface { //nolint:interfacebloat // one store, in one order
	// Append keeps m, which is a Broadcast, Join, Leave or Disconnect, and calls
	// deliver once with its offset. Every message has an offset of its own. Calls of
	// deliver are in the order of the messages in the log and do not overlap. deliver
	// does not block and does not call the Log.
	//
	// Append must not wait for the network. A Log on a network calls deliver later,
	// from a goroutine of its own, and bounds the number of waiting messages. If it
	// cannot keep m, it calls deliver with "" when it is m's turn. Then connected
	// clients get m, and no client can recover it. If Append returns an error, it has
	// not called deliver, and will not.
	Append(m *Message, deliver func(offset string)) error

	// End returns the offset of the last message in the log. In an empty log, it
	// returns a string that is before the offsets of all later messages. It does not
	// wait for the network.
	End() string

	// Compare returns a negative number if offset a is before b, a positive one if it
	// is after b, and 0 if they are equal. Both are from End, from deliver, or from a
	// client whose session was returned by Claim.
	Compare(a, b string) int

	// Save keeps the session of a client whose connection was lost. How long it can be
	// claimed is up to the log. If the log cannot keep it because of what the client has
	// got, the error matches [ErrNotKept].
	Save(ctx context.Context, s *Session) error

	// Claim removes the session with that private id from the log and returns it. It
	// returns [ErrUnknownSession] if there is none, if it is too old, or if the log
	// does not have the offset any more.
	Claim(ctx context.Context, pid, offset string) (*Session, error)

	// Replay calls f for the messages after offset, in order, until they have limit
	// bytes together. It calls f for at least one message if there is one. It reports
	// whether there are more. If there are none, it calls last, unless that is nil.
	// Append delivers no message between the last call of f and the call of last. So
	// last can make the client a receiver of delivered messages: it misses none and
	// gets none twice. f and last do not block and call no method of the Log except
	// Compare.
	//
	// Several calls may run at the same time. Append must not wait for more than limit
	// bytes of a replay. If the log does not have the offset any more, Replay returns
	// an error that matches [ErrUnknownOffset], and calls neither function.
	Replay(ctx context.Context, offset string, limit int, f func(m *Message, offset string), last func()) (more bool, err error)

	// Close frees the resources of the Log. The server does not use it afterwards.
	Close() error
}

// A Session is the saved state of a client whose connection was lost. A [Log] uses only
// PID and returns the other fields unchanged.
type Session struct {
	ID   string // of its socket
	PID  string // private id: a client that knows it may continue the session
	Data []byte // JSON object: the values of data keys, by name

	// Rooms are the rooms that the client is in, with its id, and rooms that it has
	// left. The client recovers only events that were emitted to a room while it was
	// in the room.
	Rooms []Stay

	// From is the offset at which the client connected, or the last one that it said it
	// has received. Earlier messages are not replayed.
	From string

	// Complete is the offset from which on Rooms are complete, From or later. The
	// client can recover only if it has received all earlier messages.
	Complete string

	// Left is the offset at which the client stopped receiving. Earlier changes of its
	// rooms are in Rooms, later ones are in the log.
	Left string

	// Tried is the offset that the client had when it came back the last time and was
	// sent the messages that it had missed. It is "" if it has not come back yet.
	Tried string

	// Local is kept by logs in the memory of the same server. Other logs leave it nil.
	Local any
}

// A Stay is the time that a client spends in a room. The client gets the events that are
// emitted to the room at offsets after From, up to and including To.
type Stay struct {
	Room   string
	From   string
	To     string // "" while the client is in the room
	Pinned bool   // only Unpin takes it out
}
