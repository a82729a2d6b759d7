package adapter

import "context"

// A Log keeps what connection state recovery needs for one namespace: the events
// that were sent, in order, and the sessions of clients whose connection was
// lost. It must be safe for concurrent use, and bound what it keeps by time and
// by size.
type Log interface {
	// Append keeps m, a Broadcast, and calls deliver once with its offset: a
	// string that every later message has another one than. Calls of deliver
	// are in the order of the messages in the log and do not overlap. deliver
	// does not block and does not call the Log.
	Append(m *Message, deliver func(offset string)) error

	// Save keeps the session of a client that has gone, to be claimed for as
	// long as the log says.
	Save(ctx context.Context, s *Session) error

	// Claim takes the session with that private id out, so that nobody else can
	// have it. It returns [ErrUnknownSession] if there is none, if it is too
	// old, or if the offset is not known any more.
	Claim(ctx context.Context, pid, offset string) (*Session, error)

	// Replay calls f for every message after offset that reaches a client that
	// is in these rooms, in order, and then last. Between what f is called for
	// and last no message is delivered by Append, so that a client which last
	// makes a receiver of what is delivered misses nothing and gets nothing
	// twice. f and last neither block nor call the Log. If the offset is not
	// known any more, Replay returns an error and calls nothing.
	Replay(ctx context.Context, offset string, rooms []string, f func(m *Message, offset string), last func()) error

	// Close frees what the Log holds. It is not used afterwards.
	Close() error
}

// A Session is what is kept of a client whose connection was lost.
type Session struct {
	ID    string   // of its socket
	PID   string   // private: whoever knows it may continue the session
	Rooms []string // including its id
	Data  []byte   // JSON object: the values of data keys, by name

	// Local is only kept by logs in the memory of the server that saves and
	// claims; others leave it nil.
	Local any
}
