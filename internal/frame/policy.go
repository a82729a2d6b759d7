package frame

// A Policy says when a message that waits for a client may be left out, because newer
// ones have come. The first frame of the message has it. It never changes: all clients
// share it.
type Policy struct {
	Namespace string

	// Key, if not "", has the message replaced by the next one with the same key and
	// namespace.
	Key string

	// MaxWaiting, if not 0, is how many messages of Event may wait for a client. The
	// oldest are dropped.
	MaxWaiting int
	Event      string

	frames int // of the message
}

// policyMemory is what a policy takes, and what a queue keeps to find the message.
const policyMemory = 320

func (p *Policy) memory() int { return policyMemory + len(p.Key) + len(p.Event) }

// Frames returns the number of frames of the message.
func (p *Policy) Frames() int { return p.frames }

// SetPolicy gives a message its policy. The frames must not be queued yet.
func SetPolicy(frames []*Frame, p Policy) {
	if len(frames) > 0 {
		p.frames = len(frames)
		frames[0].policy = &p
	}
}

// Policy returns the policy of the message that begins with this frame, nil if it has
// none.
func (f *Frame) Policy() *Policy { return f.policy }

// CopyPolicy gives f the policy of a frame that it stands for.
func (f *Frame) CopyPolicy(from *Frame) { f.policy = from.policy }

// PolicyOf returns the policy of a message, nil if it has none.
func PolicyOf(frames []*Frame) *Policy {
	if len(frames) == 0 {
		return nil
	}
	return frames[0].policy
}
