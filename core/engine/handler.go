package engine

// A Handler receives the events of one session.
type Handler interface {
	// Message hands over one message; p is only valid during the call. No
	// two calls overlap. Message may block to slow the peer down; it must
	// return once Close was called.
	Message(binary bool, p []byte)

	// Close is called once, when the session has ended. It may overlap the
	// last Message and must not block.
	Close(reason Reason, err error)
}

// An Opener is a [Handler] that sends the first message. It is apart from Handler
// because most handlers have nothing to say before the client has.
type Opener interface {
	// Opened is called once, before any Message: what is sent from now on
	// reaches the client behind the open packet. It must not block.
	Opened()
}

// A Worker is a [Handler] that queues messages in Message and handles them in Work.
// All messages of one read are handled together, and so the answers to them are
// written together. It is apart from Handler because a handler whose Message does
// everything needs no second step.
type Worker interface {
	// Work handles the messages that were queued. It may block: then another
	// goroutine goes on reading, and Work may be called again before it has
	// returned. turn is for [Session.Yield].
	Work(turn uint32)

	// Quick reports whether the next call of Work is expected to take less than a
	// millisecond. If it then takes longer, the messages that follow are read, and the
	// answers leave, up to a tenth of a second late. It must not block.
	Quick() bool
}

// A Finisher is a [Handler] whose work may take longer than its methods. [Server.Drain]
// asks it before it closes the session.
type Finisher interface {
	// Finished reports whether all messages were handled, and nothing is awaited of the
	// client. It must not block.
	Finished() bool
}

// A Reader is a [Handler] whose Message waits between [Session.Hold] and
// [Session.Release].
type Reader interface {
	// ReadOn is called when the session awaits a pong or ping, which may come behind
	// the message that is waiting. From now on [Session.AwaitsHeartbeat] returns true,
	// and Message should go on if it can. ReadOn must not block.
	ReadOn()
}

// A noHandler is the handler of a session that is being created.
type noHandler struct{}

// Message implements [Handler].
func (noHandler) Message(bool, []byte) {}

// Close implements [Handler].
func (noHandler) Close(Reason, error) {}
