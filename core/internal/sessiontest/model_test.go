package sessiontest_test

import (
	"fmt"
	"sync"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// The limits of the server are low, so that programs of a few bytes reach them.
const (
	maxMessage       = 2_000
	maxSendBuffer    = 8_192
	maxPendingEvents = 6
	maxPendingBytes  = 4_096
	maxNamespaces    = 3
	maxAttachments   = 3

	// While a pong or an ack is awaited, the client may have this many times more wait.
	readAhead = 8

	// What the server has read and not yet looked at: its buffer for a connection.
	readBuffer = 16 << 10

	// No event of the server is longer than this, with all that is around it.
	maxEmitted = 3_200
)

// A model knows what clients sent, and is told by handlers what became of it.
type model struct {
	t *testing.T

	mu      sync.Mutex
	events  []*event
	records []*socketRecord
	current map[place]*socketRecord // who is connected, as far as the server has said

	waits map[string]bool // sessions some of whose handlers may wait
	last  map[string]int  // the last event of each session that was handled
}

// A place is where a client can be connected once at a time.
type place struct {
	who       string // the session, as its handshake has it in the query
	namespace string
}

// A socketRecord is a socket, from its acceptance to its end.
type socketRecord struct {
	place

	socket  *sio.Socket
	left    bool // the client has said that it leaves
	ended   int
	handled []int
	emitted []int // what the server sent and said no error about
}

// An event is one that a client sent. Its number is its first argument.
type event struct {
	socket  *socketRecord // to whose socket it was sent; nil if it need not arrive
	size    int
	read    bool // the server has read it
	handled int
}

func newModel(t *testing.T) *model {
	t.Helper()
	return &model{t: t, current: make(map[place]*socketRecord), waits: make(map[string]bool), last: make(map[string]int)}
}

// stride makes numbers on the wire that garbage does not hit upon.
const stride = 999_999_000_001

// encodeNumber returns the form of a number on the wire.
func encodeNumber(number int) int { return (number + 1) * stride }

// decodeNumber is the other direction. What no client sent is -1.
func decodeNumber(wire int) int {
	if wire <= 0 || wire%stride != 0 {
		return -1
	}
	return wire/stride - 1
}

// send returns the number of a new event. It is sure to be handled if the client
// does nothing wrong, is connected as far as it knows, and stays so.
func (m *model) send(p place, sure bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := new(event)
	if l := m.current[p]; sure && l != nil && !l.left && l.socket.Connected() {
		e.socket = l
	}
	m.events = append(m.events, e)
	return len(m.events) - 1
}

// mayWait notes that a handler of the session may wait, so that those of other
// namespaces need not. Otherwise they keep the order of the session.
func (m *model) mayWait(who string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits[who] = true
}

// sized notes how large an event is on the wire.
func (m *model) sized(number, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events[number].size = size
}

// markRead notes that the server has read events.
func (m *model) markRead(numbers []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range numbers {
		m.events[n].read = true
	}
}

// leave notes that a client has said that it leaves a namespace.
func (m *model) leave(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.current[p]; l != nil {
		l.left = true
	}
}

// accept is called by OnConnect.
func (m *model) accept(s *sio.Socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &socketRecord{place: place{s.Handshake().Query.Get("who"), s.Namespace().Name()}, socket: s}
	m.records = append(m.records, l)
	m.current[l.place] = l
}

// end is called by OnDisconnect.
func (m *model) end(s *sio.Socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.record(s)
	if l == nil {
		m.t.Errorf("OnDisconnect of a socket without OnConnect")
		return
	}
	if l.ended++; l.ended > 1 {
		m.t.Errorf("OnDisconnect ran %d times", l.ended)
	}
	if m.current[l.place] == l {
		delete(m.current, l.place)
	}
}

func (m *model) record(s *sio.Socket) *socketRecord {
	for _, l := range m.records {
		if l.socket == s {
			return l
		}
	}
	return nil
}

// handle is called by each handler.
func (m *model) handle(s *sio.Socket, number int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.record(s)
	if l == nil || number >= len(m.events) {
		m.t.Errorf("event %d, which nobody sent, or of nobody", number)
		return
	}
	e := m.events[number]
	if e.handled++; e.handled > 1 {
		m.t.Errorf("event %d was handled %d times", number, e.handled)
	}
	if e.socket != nil && e.socket != l {
		m.t.Errorf("event %d reached another socket", number)
	}
	if l.ended > 0 {
		m.t.Errorf("event %d was handled after OnDisconnect", number)
	}
	if n := len(l.handled); n > 0 && l.handled[n-1] > number {
		m.t.Errorf("event %d was handled after %d", number, l.handled[n-1])
	}
	l.handled = append(l.handled, number)
	if m.last[l.who] > number && !m.waits[l.who] {
		m.t.Errorf("event %d was handled after %d, of another namespace", number, m.last[l.who])
	}
	m.last[l.who] = max(m.last[l.who], number)
}

// emit notes that an event was sent to a socket.
func (m *model) emit(s *sio.Socket, number int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.record(s); l != nil {
		l.emitted = append(l.emitted, number)
	}
}

// bounded checks what waits in the server, in both directions.
func (m *model) bounded() {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := make(map[*socketRecord]int)
	for _, e := range m.events {
		if e.socket != nil && e.read && e.handled == 0 {
			waiting[e.socket] += e.size
		}
	}
	for _, l := range m.records {
		if !l.socket.Connected() {
			continue
		}
		// A pong or an ack that is awaited is looked for behind what waits.
		limit := maxPendingBytes*(1+readAhead) + maxMessage + readBuffer
		if waiting[l] > limit {
			m.t.Errorf("%d bytes wait for the handlers of a socket, %d may", waiting[l], limit)
		}
		if n := l.socket.Buffered(); n > maxSendBuffer+maxEmitted {
			m.t.Errorf("%d bytes wait for a client, %d may", n, maxSendBuffer+maxEmitted)
		}
	}
}

// complete checks that whoever is still connected has lost nothing: all that was
// sent has been handled, and nothing was left out before something later.
func (m *model) complete() {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := make(map[*socketRecord]int) // the last event handled
	for _, l := range m.records {
		if n := len(l.handled); n > 0 {
			last[l] = l.handled[n-1]
		}
	}
	for number, e := range m.events {
		if e.socket == nil || e.handled > 0 {
			continue
		}
		if number < last[e.socket] {
			m.t.Errorf("event %d was not handled, %d was", number, last[e.socket])
		}
		if e.socket.socket.Connected() {
			m.t.Errorf("event %d was not handled, and its socket is still connected", number)
		}
	}
}

// over checks that every socket that was accepted has ended.
func (m *model) over() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.records {
		if l.ended != 1 {
			m.t.Errorf("OnDisconnect ran %d times for a socket of %s", l.ended, l.namespace)
		}
	}
}

// delivered returns the events that the server sent to the socket that is connected
// there, and whether there is one.
func (m *model) delivered(p place) (numbers []int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.current[p]
	if l == nil || !l.socket.Connected() {
		return nil, false
	}
	return append(numbers, l.emitted...), true
}

func (p place) String() string { return fmt.Sprintf("client %s in %s", p.who, p.namespace) }
