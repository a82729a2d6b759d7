package sharedlog

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// A Log is the part of an [adapter.Log] over a stream that does not depend on the broker. The messages of this server
// are added to the stream, and delivered when they are read from it, as those of others. So
// all servers have them in one order.
//
// If the broker does not give a message back within half a second, it is delivered without an offset:
// the server's own clients do not wait for the broker. Such a message is early. It will probably
// be in the stream later. A client that has it must not get it again, so sessions from before
// that place cannot be claimed.
type Log struct {
	logs      *Logs
	namespace string
	order     *Order
	localWait time.Duration

	mu        sync.Mutex
	adapter   adapter.Adapter                  // sends messages; nil before Join
	appended  map[*adapter.Message]error       // which Publish must not send again, and what became of them
	unsent    map[*adapter.Message]*ownMessage // whose entries are not known yet
	foreign   *adapter.Message                 // that is passed on at the moment
	foreignAt Place
	pending   []*ownMessage // messages that are to be delivered, in order
	early     []*ownMessage // early messages that have not been read yet, in order
	late      bool          // the broker gives messages back too late: new ones are early at once
	barrier   Place         // the place of the last early message that was read
	timer     *time.Timer   // nil if there is nothing to wait for
	closed    bool
}

// An ownMessage is one of this server.
type ownMessage struct {
	message *adapter.Message
	deliver func(offset string)
	since   time.Time
	sent    bool   // it will have an entry, unless the broker does not take it
	content uint64 // of the entry; 0 if that is not known yet
}

const (
	// defaultLocalWait is how long own clients wait for a message that the broker does not
	// give back.
	defaultLocalWait = 500 * time.Millisecond

	// maxEarly bounds the memory for early messages. Beyond, the oldest are forgotten,
	// and taken for early ones all the same when they are read.
	maxEarly = 100_000
)

var contentSeed = maphash.MakeSeed() //nolint:gochecknoglobals // does not change

// ContentOf returns what tells entries of one server apart.
func ContentOf(kind, data string) uint64 {
	var h maphash.Hash
	h.SetSeed(contentSeed)
	_, _ = h.WriteString(kind)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(data)
	return max(1, h.Sum64())
}

// InLog reports whether a message takes the way through the log.
func InLog(m *adapter.Message) bool {
	switch m.Kind {
	case adapter.Broadcast:
		return !m.Droppable()
	case adapter.Join, adapter.Leave, adapter.Disconnect:
		return true
	case adapter.ServerEvent, adapter.Fetch, adapter.Count:
		fallthrough
	default:
		return false
	}
}

// Append implements [adapter.Log]. A message that the queue to the broker does not take is
// delivered in its turn; the error is that of Publish.
func (l *Log) Append(m *adapter.Message, deliver func(offset string)) error {
	l.mu.Lock()
	if m == l.foreign {
		offset := ""
		if l.foreignAt != (Place{}) {
			offset = l.foreignAt.String()
		}
		l.mu.Unlock()
		deliver(offset) // within the call for its entry
		return nil
	}
	err := l.appendLocked(&ownMessage{message: m, deliver: deliver, since: time.Now()})
	l.mu.Unlock()
	l.order.run()
	return err
}

func (l *Log) appendLocked(own *ownMessage) error {
	m := own.message
	if l.closed || l.adapter == nil {
		return adapter.ErrClosed
	}
	if !m.Local {
		err := l.adapter.Publish(m) // under the lock: in the order of pending
		l.appended[m] = err
		if own.sent = err == nil; own.sent {
			l.unsent[m] = own
		}
	}
	switch {
	case !own.sent && len(l.pending) == 0:
		l.order.add(func() { own.deliver("") })
	case own.sent && l.late && len(l.early) > 0:
		l.earlyLocked(own)
	default:
		l.pending = append(l.pending, own)
		if l.timer == nil {
			l.timer = time.AfterFunc(l.localWait, l.flush)
		}
	}
	return nil
}

// earlyLocked delivers a message that has not come back from the broker.
func (l *Log) earlyLocked(own *ownMessage) {
	l.order.add(func() { own.deliver("") })
	if !own.sent {
		return
	}
	l.early = append(l.early, own)
	if len(l.early) > maxEarly {
		l.forgetLocked(l.early[0])
		l.early = l.early[1:]
	}
}

// forgetLocked forgets a message that has been delivered, or is in the stream.
func (l *Log) forgetLocked(own *ownMessage) { delete(l.unsent, own.message) }

// forgetEarlyLocked forgets the first n early messages: they are not in the stream.
func (l *Log) forgetEarlyLocked(n int) {
	for _, lost := range l.early[:n] {
		l.forgetLocked(lost)
	}
	l.early = l.early[n:]
}

// flush delivers the messages that the broker does not give back.
func (l *Log) flush() {
	l.mu.Lock()
	l.timer = nil
	if len(l.pending) > 0 && !l.closed {
		if rest := l.localWait - time.Since(l.pending[0].since); rest > 0 {
			l.timer = time.AfterFunc(rest, l.flush)
		} else {
			for _, own := range l.pending {
				l.earlyLocked(own)
			}
			l.pending, l.late = nil, true
		}
	}
	l.mu.Unlock()
	l.order.run()
}

// Sending is told the content of a message's entry, before the entry is added.
func (l *Log) Sending(m *adapter.Message, content uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own := l.unsent[m]; own != nil {
		own.content = content
		delete(l.unsent, m)
	}
}

// Unstored is told that a message will not be in the stream: other servers get it in another
// way. Own clients get it now, behind those that were appended before.
func (l *Log) Unstored(m *adapter.Message) {
	has := func(own *ownMessage) bool { return own.message == m }
	l.mu.Lock()
	delete(l.unsent, m)
	if i := slices.IndexFunc(l.early, has); i >= 0 {
		l.early = slices.Delete(l.early, i, i+1)
	} else if i := slices.IndexFunc(l.pending, has); i >= 0 {
		for _, own := range l.pending[:i] {
			l.earlyLocked(own)
		}
		ready := l.pending[i : i+1]
		for l.pending = l.pending[i+1:]; len(l.pending) > 0 && !l.pending[0].sent; l.pending = l.pending[1:] {
			ready = append(slices.Clip(ready), l.pending[0])
		}
		for _, own := range ready {
			l.order.add(func() { own.deliver("") })
		}
	}
	l.mu.Unlock()
	l.order.run()
}

// ReadForeign passes on an entry of another server, or a message that is not in the stream, at
// the zero Place. It is called by the order.
func (l *Log) ReadForeign(at Place, m *adapter.Message, pass func()) {
	l.mu.Lock()
	l.foreign, l.foreignAt = m, at
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.foreign = nil
		l.mu.Unlock()
	}()
	pass()
}

// ReadOwn delivers the message of an own entry, unless it is early. What was appended before
// it, and was not read, is not in the stream. It is called by the order.
func (l *Log) ReadOwn(id Place, content uint64) {
	has := func(own *ownMessage) bool { return own.content == content }
	l.mu.Lock()
	if i := slices.IndexFunc(l.early, has); i >= 0 {
		l.late = time.Since(l.early[i].since) >= l.localWait
		l.forgetEarlyLocked(i)
		l.early = l.early[1:]
		l.barrier = id
		l.mu.Unlock()
		return
	}
	i := slices.IndexFunc(l.pending, has)
	if i < 0 {
		l.barrier = id
		l.mu.Unlock()
		return
	}
	l.forgetEarlyLocked(len(l.early))
	ready := l.pending[:i+1]
	l.pending = l.pending[i+1:]
	for len(l.pending) > 0 && !l.pending[0].sent {
		ready = append(slices.Clip(ready), l.pending[0])
		l.pending = l.pending[1:]
	}
	for _, own := range ready[:i] {
		l.forgetLocked(own)
	}
	l.mu.Unlock()
	for _, own := range ready {
		if own.content == content {
			own.deliver(id.String())
		} else {
			own.deliver("")
		}
	}
}

// End implements [adapter.Log].
func (l *Log) End() string { return l.order.At().String() }

// Compare implements [adapter.Log].
func (l *Log) Compare(a, b string) int {
	x, _ := ParsePlace(a)
	y, _ := ParsePlace(b)
	return x.Compare(y)
}

// Close implements [adapter.Log].
func (l *Log) Close() error {
	l.logs.remove(l)
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	for _, own := range l.pending {
		l.order.add(func() { own.deliver("") })
	}
	l.pending, l.early = nil, nil
	l.mu.Unlock()
	l.order.run()
	return nil
}
