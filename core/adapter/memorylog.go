package adapter

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Errors of logs.
var (
	ErrUnknownSession = errors.New("adapter: unknown session")
	ErrUnknownOffset  = errors.New("adapter: unknown offset")

	// ErrNotKept is matched by errors of Log.Save that are no failure of the log. The server
	// logs them at Debug: each client that leaves at such a moment causes one.
	ErrNotKept = errors.New("adapter: session not kept")
)

// MemoryLogOptions are the settings of a [MemoryLog]. A zero value means the
// default.
type MemoryLogOptions struct {
	MaxAge      time.Duration // how long sessions are kept, 2 minutes by default; messages are kept twice as long
	MaxBytes    int           // how many bytes of messages are kept, 16 MiB by default; the oldest go first
	MaxSessions int           // how many sessions are kept, 100,000 by default; the oldest go first
}

// What [MemoryLogOptions] stand for when they are zero.
const (
	defaultMaxAge      = 2 * time.Minute
	defaultMaxBytes    = 16 << 20
	defaultMaxSessions = 100_000
)

// messageOverhead is added to the size of a message, so that the limit holds for many
// small messages, too.
const messageOverhead = 256

// nameOverhead is added to the size of the name of a room.
const nameOverhead = 16

// A MemoryLog keeps messages and sessions in the memory of one server. It is the default
// [Log] of a server, and the reference for others. It has no goroutine. While it is not
// empty, it has a timer.
type MemoryLog struct {
	opts   MemoryLogOptions
	prefix string // of all its offsets, to refuse those of another log

	mu         sync.RWMutex
	first      int // number of the oldest message that is kept; the first message has 1
	messages   ring[entry]
	bytes      int
	sessions   map[string]*savedSession // by private id
	bySaveTime ring[*savedSession]      // in the order in which they were saved, with those that were claimed
	timer      *time.Timer              // nil while the log is empty
	closed     bool
}

// An entry is a message with its time and its offset.
type entry struct {
	m      *Message
	at     time.Time
	offset string
}

// A saved is a session with its time.
type savedSession struct {
	session *Session
	at      time.Time
}

// NewMemoryLog returns an empty log.
func NewMemoryLog(opts MemoryLogOptions) *MemoryLog {
	opts.MaxAge = cmp.Or(opts.MaxAge, defaultMaxAge)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, defaultMaxBytes)
	opts.MaxSessions = cmp.Or(opts.MaxSessions, defaultMaxSessions)
	return &MemoryLog{
		opts:     opts,
		prefix:   rand.Text()[:6] + ".", // 30 bits: enough to tell one run of a server from another
		first:    1,
		sessions: make(map[string]*savedSession),
	}
}

// offset returns the offset of the message with that number. It is sent with every
// event, so it is short.
func (l *MemoryLog) offset(n int) string { return l.prefix + strconv.FormatInt(int64(n), 36) }

// End implements [Log].
func (l *MemoryLog) End() string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.offset(l.first + l.messages.len() - 1)
}

// Compare implements [Log]. All offsets of a log have the same prefix, and digits
// without leading zeros.
func (*MemoryLog) Compare(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// numberLocked returns the number of the message at an offset, if all later messages are
// still there. Clients can make up offsets: only the spelling of method offset is valid,
// because Compare cannot order others.
func (l *MemoryLog) numberLocked(offset string) (int, error) {
	digits, ok := strings.CutPrefix(offset, l.prefix)
	n, err := strconv.ParseInt(digits, 36, 0)
	number := int(n)
	if ok && err == nil && number >= l.first-1 && number < l.first+l.messages.len() && l.offset(number) == offset {
		return number, nil
	}
	return 0, ErrUnknownOffset
}

// Append implements [Log].
func (l *MemoryLog) Append(m *Message, deliver func(offset string)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	offset := l.offset(l.first + l.messages.len())
	l.messages.push(entry{m, time.Now(), offset})
	l.bytes += size(m)
	deliver(offset)
	l.trimLocked()
	return nil
}

// size returns the size of a message for the limit. The names of its rooms are included,
// because there can be many.
func size(m *Message) int {
	n := messageOverhead + len(m.Data)
	for _, a := range m.Attachments {
		n += len(a)
	}
	for _, names := range [][]string{m.Target.Rooms, m.Target.Except, m.Rooms} {
		for _, name := range names {
			n += nameOverhead + len(name)
		}
	}
	return n
}

// Save implements [Log].
func (l *MemoryLog) Save(_ context.Context, s *Session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := &savedSession{s, time.Now()}
	l.sessions[s.PID] = v
	l.bySaveTime.push(v)
	l.trimLocked()
	return nil
}

// Claim implements [Log].
func (l *MemoryLog) Claim(_ context.Context, pid, offset string) (*Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trimLocked()
	v := l.sessions[pid]
	if v == nil {
		return nil, ErrUnknownSession
	}
	if _, err := l.numberLocked(offset); err != nil {
		return nil, errors.Join(ErrUnknownSession, err)
	}
	delete(l.sessions, pid)
	s := v.session
	v.session = nil // its place in bySaveTime stays, empty
	return s, nil
}

// Replay implements [Log].
func (l *MemoryLog) Replay(
	_ context.Context, offset string, limit int, f func(m *Message, offset string), last func(),
) (more bool, err error) {
	l.mu.RLock() // which keeps Append out
	defer l.mu.RUnlock()
	n, err := l.numberLocked(offset)
	if err != nil {
		return false, err
	}
	bytes := 0
	for n++; n < l.first+l.messages.len(); n++ {
		if bytes >= limit && bytes > 0 {
			return true, nil
		}
		e := l.messages.at(n - l.first)
		bytes += size(e.m)
		f(e.m, e.offset)
	}
	if last != nil {
		last()
	}
	return false, nil
}

// Close implements [Log].
func (l *MemoryLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.first += l.messages.len()
	l.messages, l.bytes, l.bySaveTime = ring[entry]{}, 0, ring[*savedSession]{}
	clear(l.sessions)
	return nil
}

// trimLocked removes messages and sessions that are too old, and the oldest ones beyond
// the limits.
func (l *MemoryLog) trimLocked() {
	old := time.Now().Add(-l.opts.MaxAge)
	veryOld := old.Add(-l.opts.MaxAge) // messages are kept longer: it takes time to notice that a connection is lost
	for l.messages.len() > 0 && (l.bytes > l.opts.MaxBytes || !l.messages.at(0).at.After(veryOld)) {
		l.bytes -= size(l.messages.pop().m)
		l.first++
	}
	for l.bySaveTime.len() > 0 {
		v := l.bySaveTime.at(0)
		if v.session != nil && v.at.After(old) && len(l.sessions) <= l.opts.MaxSessions {
			break
		}
		l.bySaveTime.pop()
		if v.session != nil && l.sessions[v.session.PID] == v {
			delete(l.sessions, v.session.PID)
		}
	}
	l.scheduleLocked()
}

// scheduleLocked sets the timer that trims the log when nobody uses it any more.
func (l *MemoryLog) scheduleLocked() {
	if l.timer != nil || l.closed || l.messages.len()+l.bySaveTime.len() == 0 {
		return
	}
	l.timer = time.AfterFunc(l.opts.MaxAge, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.timer = nil
		l.trimLocked()
	})
}
