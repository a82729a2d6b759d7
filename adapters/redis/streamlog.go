package redisadapter

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// A streamLog is the [adapter.Log] of a namespace over a stream. The messages of this server
// are added to the stream, and delivered when they are read from it, as those of others. So
// all servers have them in one order.
//
// If Redis does not give a message back within localWait, it is delivered without an offset:
// the server's own clients do not wait for Redis. Such a message is early. It will probably
// be in the stream later. A client that has it must not get it again, so sessions from before
// that place cannot be claimed.
type streamLog struct {
	logs      *streamLogs
	namespace string
	order     *streamOrder
	keep      time.Duration

	mu        sync.Mutex
	adapter   adapter.Adapter                  // sends messages; nil before Join
	appended  map[*adapter.Message]error       // which Publish must not send again, and what became of them
	unsent    map[*adapter.Message]*ownMessage // whose entries are not known yet
	foreign   *adapter.Message                 // that is passed on at the moment
	foreignID entryID
	pending   []*ownMessage // messages that are to be delivered, in order
	early     []*ownMessage // early messages that have not been read yet, in order
	late      bool          // Redis gives messages back too late: new ones are early at once
	barrier   entryID       // the place of the last early message that was read
	timer     *time.Timer   // nil if there is nothing to wait for
	closed    bool
}

// An ownMessage is one of this server.
type ownMessage struct {
	message *adapter.Message
	deliver func(offset string)
	since   time.Time
	sent    bool   // it will have an entry, unless Redis does not take it
	content uint64 // of the entry; 0 if that is not known yet
}

const (
	// localWait is how long own clients wait for a message that Redis does not give back.
	localWait = 500 * time.Millisecond

	// maxEarly bounds the memory for early messages. Beyond, the oldest are forgotten,
	// and taken for early ones all the same when they are read.
	maxEarly = 100_000
)

var contentSeed = maphash.MakeSeed() //nolint:gochecknoglobals // does not change

// contentOf returns what tells entries of one server apart.
func contentOf(kind, data string) uint64 {
	var h maphash.Hash
	h.SetSeed(contentSeed)
	_, _ = h.WriteString(kind)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(data)
	return max(1, h.Sum64())
}

// inLog reports whether a message takes the way through the log.
func inLog(m *adapter.Message) bool {
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

// Append implements [adapter.Log]. A message that the queue to Redis does not take is
// delivered in its turn; the error is that of Publish.
func (l *streamLog) Append(m *adapter.Message, deliver func(offset string)) error {
	l.mu.Lock()
	if m == l.foreign {
		id := l.foreignID
		l.mu.Unlock()
		deliver(id.String()) // within the call for its entry
		return nil
	}
	err := l.appendLocked(&ownMessage{message: m, deliver: deliver, since: time.Now()})
	l.mu.Unlock()
	l.order.run()
	return err
}

func (l *streamLog) appendLocked(own *ownMessage) error {
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
			l.timer = time.AfterFunc(localWait, l.flush)
		}
	}
	return nil
}

// earlyLocked delivers a message that has not come back from Redis.
func (l *streamLog) earlyLocked(own *ownMessage) {
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
func (l *streamLog) forgetLocked(own *ownMessage) { delete(l.unsent, own.message) }

// forgetEarlyLocked forgets the first n early messages: they are not in the stream.
func (l *streamLog) forgetEarlyLocked(n int) {
	for _, lost := range l.early[:n] {
		l.forgetLocked(lost)
	}
	l.early = l.early[n:]
}

// flush delivers the messages that Redis does not give back.
func (l *streamLog) flush() {
	l.mu.Lock()
	l.timer = nil
	if len(l.pending) > 0 && !l.closed {
		if rest := localWait - time.Since(l.pending[0].since); rest > 0 {
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

// sending is told the content of a message's entry, before the entry is added.
func (l *streamLog) sending(m *adapter.Message, content uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own := l.unsent[m]; own != nil {
		own.content = content
		delete(l.unsent, m)
	}
}

// readForeign passes on an entry of another server. It is called by order.
func (l *streamLog) readForeign(id entryID, m *adapter.Message, pass func()) {
	l.mu.Lock()
	l.foreign, l.foreignID = m, id
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.foreign = nil
		l.mu.Unlock()
	}()
	pass()
}

// readOwn delivers the message of an own entry, unless it is early. What was appended before
// it, and was not read, is not in the stream. It is called by order.
func (l *streamLog) readOwn(id entryID, content uint64) {
	has := func(own *ownMessage) bool { return own.content == content }
	l.mu.Lock()
	if i := slices.IndexFunc(l.early, has); i >= 0 {
		l.late = time.Since(l.early[i].since) >= localWait
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
func (l *streamLog) End() string { return l.order.at().String() }

// Compare implements [adapter.Log].
func (l *streamLog) Compare(a, b string) int {
	x, _ := parseEntryID(a)
	y, _ := parseEntryID(b)
	return x.compare(y)
}

// Close implements [adapter.Log].
func (l *streamLog) Close() error {
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
