package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/sioplug/sioplug/internal/frame"
)

// A modelMessage is a message in the model of a queue, which is a plain list.
type modelMessage struct {
	name   string // of the first frame; others have a letter more
	policy frame.Policy
	frames []*frame.Frame
}

func (m *modelMessage) memory() int { return memory(m.frames) }

// A queueModel does to a list what a session does to its queue.
type queueModel struct {
	limit int
	list  []modelMessage
	drops DropCount
}

func (m *queueModel) bytes() (n int) {
	for _, w := range m.list {
		n += w.memory()
	}
	return n
}

// removeOldest removes the oldest message for which is returns true.
func (m *queueModel) removeOldest(is func(frame.Policy) bool) bool {
	i := slices.IndexFunc(m.list, func(w modelMessage) bool { return is(w.policy) })
	if i >= 0 {
		m.list = slices.Delete(m.list, i, i+1)
	}
	return i >= 0
}

func (m *queueModel) send(w modelMessage) error {
	p := w.policy
	if p.Key != "" && m.removeOldest(func(o frame.Policy) bool { return o.Key == p.Key && o.Namespace == p.Namespace }) {
		m.drops.Replaced++
	}
	if p.MaxWaiting > 0 {
		same := func(o frame.Policy) bool {
			return o.MaxWaiting > 0 && o.Event == p.Event && o.Namespace == p.Namespace
		}
		n := 0
		for _, o := range m.list {
			if same(o.policy) {
				n++
			}
		}
		for ; n >= p.MaxWaiting; n-- {
			m.removeOldest(same)
			m.drops.Dropped++
		}
	}
	for m.bytes() >= m.limit {
		if m.removeOldest(func(o frame.Policy) bool { return o.MaxWaiting > 0 }) {
			m.drops.Dropped++
			continue
		}
		if p.MaxWaiting > 0 {
			m.drops.Dropped++
			return ErrDropped
		}
		return ErrSlowClient
	}
	m.list = append(m.list, w)
	return nil
}

// names returns the messages frame by frame.
func (m *queueModel) names() []string {
	names := []string{}
	for _, w := range m.list {
		for _, f := range w.frames {
			names = append(names, string(f.Payload()))
		}
	}
	return names
}

// newModelMessage makes a message of random kind. Small sets of names make some meet.
func newModelMessage(r *rand.Rand, i, kinds int) modelMessage {
	w := modelMessage{name: strconv.Itoa(i)}
	if r.IntN(4) > 0 {
		w.policy.Namespace = []string{"/", "/a"}[r.IntN(2)]
		kind := 1 + r.IntN(3)
		if kind&1 > 0 {
			w.policy.Key = fmt.Sprint("k", r.IntN(kinds))
		}
		if kind&2 > 0 {
			w.policy.MaxWaiting = 1 + r.IntN(kinds)
			w.policy.Event = []string{"e", "f"}[r.IntN(2)]
		}
	}
	for n := range 1 + r.IntN(3) {
		w.frames = append(w.frames, textOf(w.name+"bc"[:n]))
	}
	if w.policy != (frame.Policy{}) {
		frame.SetPolicy(w.frames, w.policy)
	}
	return w
}

func textOf(s string) *frame.Frame { return frame.Text(append(frame.Buffer(len(s)), s...)) }

// newBareSession returns a session without a client, whose queue nobody takes.
func newBareSession(limit int) *Session {
	s := &Session{server: &Server{opts: Options{MaxSendBuffer: limit}}, handler: noHandler{}}
	s.queue.init()
	return s
}

func takenNames(frames []*frame.Frame) []string {
	names := []string{}
	for _, f := range frames {
		names = append(names, string(f.Payload()))
	}
	return names
}

// checkQueue compares the queue with the model, and the index with the queue.
func checkQueue(t *testing.T, s *Session, m *queueModel) {
	t.Helper()
	q := &s.queue
	live := slices.DeleteFunc(slices.Clone(q.frames), func(f *frame.Frame) bool { return f == nil })
	if got, want := takenNames(live), m.names(); !slices.Equal(got, want) {
		t.Fatalf("%q wait, want %q", got, want)
	}
	if want := m.bytes(); q.bytes != want {
		t.Fatalf("%d bytes, want %d", q.bytes, want)
	}
	if len(live) == 0 && len(q.frames) > 0 {
		t.Fatal("only holes wait")
	}
	if got := s.Drops(); got != m.drops || s.server.Drops() != m.drops {
		t.Fatalf("counted %+v, for the server %+v, want %+v", got, s.server.Drops(), m.drops)
	}
	if q.extra == nil || q.extra.index == nil {
		if len(live) < len(q.frames) {
			t.Fatal("holes without an index")
		}
		return
	}
	x := q.extra.index
	if x.holes != len(q.frames)-len(live) || x.holes > minHoles && x.holes > len(q.frames)/2 {
		t.Fatalf("%d holes, %d counted, in %d places", len(q.frames)-len(live), x.holes, len(q.frames))
	}
	n := 0
	for d := x.all.oldest; d != nil; d = d.inAll.newer {
		if f := q.frames[d.at]; f == nil || f.Policy() != d.policy {
			t.Fatalf("the index has another message at %d", d.at)
		}
		n++
	}
	with := 0
	for _, w := range m.list {
		if w.policy != (frame.Policy{}) {
			with++
		}
	}
	if n != with || x.all.n != with {
		t.Fatalf("the index has %d messages, counted %d, want %d", n, x.all.n, with)
	}
}

// runQueueModel compares a queue with a list, after each of n random messages.
func runQueueModel(t *testing.T, seed uint64, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	limit := []int{2_000, 20_000, 200_000}[r.IntN(3)]
	kinds := []int{1, 3, 30, 300}[r.IntN(4)]
	rare := 1 + r.IntN(500) // how seldom the queue is taken
	s, m := newBareSession(limit), &queueModel{limit: limit}
	for i := range n {
		w := newModelMessage(r, i, kinds)
		want := m.send(w)
		got := s.applyPoliciesLocked(frame.PolicyOf(w.frames))
		if got == nil {
			s.enqueueLocked(w.frames...)
			if p := frame.PolicyOf(w.frames); p != nil {
				s.queue.joined(len(s.queue.frames)-len(w.frames), p)
			}
		}
		if got != want {
			t.Fatalf("message %d: %v, want %v", i, got, want)
		}
		checkQueue(t, s, m)
		if want == ErrSlowClient || r.IntN(rare) == 0 {
			a := s.queue.takeAll()
			if got, want := takenNames(a.frames), m.names(); !slices.Equal(got, want) || a.size != m.bytes() {
				t.Fatalf("%q were taken, want %q", got, want)
			}
			s.queue.sent(a.size)
			m.list = nil
			checkQueue(t, s, m)
		}
	}
}

// Whatever waits, and whatever comes, a queue is what a plain list would be.
func TestQueueWithPoliciesAgreesWithAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		runQueueModel(t, seed, 1200)
	}
}

func FuzzQueueWithPolicies(f *testing.F) {
	f.Add(uint64(1), uint16(100))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) { runQueueModel(t, seed, int(n)%3000) })
}

// A session keeps nothing for messages with a policy when they have been taken, and has no
// field for them.
func TestQueueKeepsNothingWhenNothingWaits(t *testing.T) {
	t.Parallel()
	s := newBareSession(1 << 20)
	send := func(n int) {
		for i := range n {
			f := textOf("x")
			frame.SetPolicy([]*frame.Frame{f}, frame.Policy{Key: strconv.Itoa(i)})
			if err := s.Send(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, n := range []int{1, indexFrom, 100} {
		send(n)
		if has := s.queue.extra != nil; has != (n > indexFrom) {
			t.Errorf("%d messages: an index: %t", n, has)
		}
		s.queue.sent(s.queue.takeAll().size)
		if s.queue.extra != nil {
			t.Errorf("after %d messages, something is kept", n)
		}
	}
	send(1)
	send(1) // which replaces it
	s.queue.sent(s.queue.takeAll().size)
	if x := s.queue.extra; x == nil || x.index != nil || s.Drops() != (DropCount{Replaced: 1}) {
		t.Errorf("kept %+v", x)
	}
}

// Thousands of messages with the same key take no more memory than one.
func TestQueueOfOneKeyStaysShort(t *testing.T) {
	t.Parallel()
	s := newBareSession(1 << 20)
	for i := range 100 { // in front of it
		if err := s.Send(textOf(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100_000 {
		f := textOf("x")
		frame.SetPolicy([]*frame.Frame{f}, frame.Policy{Key: strconv.Itoa(i % 3)})
		if err := s.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	if n := cap(s.queue.frames); n > 512 {
		t.Errorf("the queue has %d places", n)
	}
	if got := s.Drops(); got.Replaced != 100_000-3 {
		t.Errorf("counted %+v", got)
	}
}
