package sharedlog

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// silent is an adapter over a broker that takes messages and gives none back.
type silent struct {
	adapter.Adapter

	err error
}

func (s *silent) Publish(*adapter.Message) error { return s.err }

// A logTest is a log without a broker. The test reads the stream itself.
type logTest struct {
	*Log

	a         *silent
	next      uint64
	told      sync.Mutex
	delivered []string
	contents  map[string]uint64
}

func newLogTest() *logTest {
	logs := new(Logs)
	l := &logTest{Log: logs.Open("/", new(Order)), a: &silent{}, contents: make(map[string]uint64)}
	l.adapter = l.a
	l.order.Begin(Place{Major: 1})
	return l
}

// note notes a delivery.
func (l *logTest) note(what string) {
	l.told.Lock()
	defer l.told.Unlock()
	l.delivered = append(l.delivered, what)
}

// say appends a message and adds it to the stream.
func (l *logTest) say(t *testing.T, name string) {
	t.Helper()
	m := &adapter.Message{Kind: adapter.Broadcast, Data: []byte(name)}
	if err := l.Append(m, func(offset string) { l.note(name + " at " + offset) }); err != nil {
		t.Fatal(err)
	}
	l.next++
	l.contents[name] = l.next
	l.Sending(m, l.next)
}

// sayHere appends a message for own clients alone.
func (l *logTest) sayHere(t *testing.T, name string) {
	t.Helper()
	m := &adapter.Message{Kind: adapter.Broadcast, Local: true}
	if err := l.Append(m, func(offset string) { l.note(name + " at " + offset) }); err != nil {
		t.Fatal(err)
	}
}

// read reads an own entry.
func (l *logTest) read(id uint64, name string) {
	l.order.Pass(Place{Major: id}, func() { l.ReadOwn(Place{Major: id}, l.contents[name]) })
}

func (l *logTest) must(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.told.Lock()
	defer l.told.Unlock()
	if !slices.Equal(l.delivered, want) {
		t.Fatalf("delivered %q, want %q", l.delivered, want)
	}
}

// Own messages are delivered when they are read, in the order of the log (CF-4). One that is
// not in the stream is delivered in its turn.
func TestOwnMessagesHaveTheOrderOfTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		l.sayHere(t, "first")
		l.say(t, "a")
		l.sayHere(t, "here")
		l.say(t, "lost")
		l.say(t, "b")
		l.must(t, "first at ")
		l.read(5, "a")
		l.must(t, "first at ", "a at 5-0", "here at ")
		foreign := &adapter.Message{Kind: adapter.Broadcast}
		l.order.Pass(Place{Major: 6}, func() {
			l.ReadForeign(Place{Major: 6}, foreign, func() {
				_ = l.Append(foreign, func(offset string) { l.note("foreign at " + offset) })
			})
		})
		l.read(7, "b")
		l.must(t, "first at ", "a at 5-0", "here at ", "foreign at 6-0", "lost at ", "b at 7-0")
		if l.End() != "7-0" || l.barrier != (Place{}) {
			t.Errorf("end %s, barrier %s", l.End(), l.barrier)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Own clients do not wait for a Redis that hangs. What they got early, nobody gets again:
// sessions are not kept until it is in the stream, and older ones cannot be claimed.
func TestOwnClientsDoNotWaitForRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		l.say(t, "a")
		time.Sleep(300 * time.Millisecond)
		l.say(t, "b")
		l.must(t)
		time.Sleep(300 * time.Millisecond)
		l.must(t, "a at ", "b at ")
		l.say(t, "c") // at once: Redis hangs
		l.must(t, "a at ", "b at ", "c at ")
		if _, ok := l.SaveBarrier(); ok {
			t.Error("sessions are kept, although messages may come again")
		}
		for i, name := range []string{"a", "b", "c"} {
			l.read(uint64(10+i), name)
		}
		l.must(t, "a at ", "b at ", "c at ")
		if barrier, ok := l.SaveBarrier(); !ok || barrier != (Place{Major: 12}) {
			t.Errorf("barrier %s, %t", barrier, ok)
		}
		l.say(t, "d") // Redis is back
		l.read(20, "d")
		l.must(t, "a at ", "b at ", "c at ", "d at 20-0")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// An early message that was lost does not prevent sessions for ever.
func TestEarlyMessagesThatWereLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		l.say(t, "lost")
		time.Sleep(2 * time.Second)
		l.order.Pass(Place{Major: 9}, func() {})
		if _, ok := l.SaveBarrier(); ok {
			t.Error("it may still come")
		}
		time.Sleep(time.Minute)
		if barrier, ok := l.SaveBarrier(); !ok || barrier != (Place{Major: 9}) || len(l.unsent) > 0 {
			t.Errorf("barrier %s, %t", barrier, ok)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A message that the queue does not take is delivered in its turn, and is an error of
// Publish. It is not sent again.
func TestMessagesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		l.say(t, "a")
		l.a.err = cluster.ErrQueueFull
		m := &adapter.Message{Kind: adapter.Broadcast}
		if err := l.Append(m, func(offset string) { l.note("refused at " + offset) }); err != nil {
			t.Error(err)
		}
		l.a.err = nil
		if err := (&loggedAdapter{l.a, l.Log}).Publish(m); !errors.Is(err, cluster.ErrQueueFull) {
			t.Errorf("publishing: %v", err)
		}
		l.must(t)
		l.read(5, "a")
		l.must(t, "a at 5-0", "refused at ")
		if len(l.unsent) > 0 {
			t.Errorf("%d messages are waited for", len(l.unsent))
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A message that is emitted while another one is delivered does not wait for it.
func TestAppendingWhileDelivering(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		m := &adapter.Message{Kind: adapter.Broadcast}
		if err := l.Append(m, func(string) {
			l.note("outer")
			l.sayHere(t, "inner")
		}); err != nil {
			t.Fatal(err)
		}
		l.Sending(m, 77)
		l.contents["outer"] = 77
		l.read(3, "outer")
		l.must(t, "outer", "inner at ")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
