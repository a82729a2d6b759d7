package redisadapter

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
)

const sender = "go23456789abcdef"

func TestMarks(t *testing.T) {
	t.Parallel()
	many := mark{seq: 1 << 60, stream: entryID{Major: 1 << 45, Minor: 7}}
	for i := range uint32(maxMarks) {
		many.before = append(many.before, use{channel: i << 27, seq: uint64(i), age: 1999})
	}
	for _, m := range []mark{{seq: 1}, {stream: entryID{Major: 1, Minor: 2}}, {before: []use{{channel: 5, seq: 4, age: 3}}}, many} {
		for _, message := range []string{`{"type":3,"nsp":"/"}`, "\x81\xa1a\x01", "\x8e\xa1a"} {
			marked := m.appendTo([]byte(message))
			if got := readMark(marked); !reflect.DeepEqual(got, m) {
				t.Errorf("%q: mark %+v, want %+v", marked, got, m)
			}
		}
	}
	for _, message := range []string{"", "{", "{}", `{"type":3,"order":"x"}`, `{"a":",\"order\":\"AQ"}`, "\x8f\xa1a\x01", "\xa5order\xc4\x01\x01"} {
		if got := readMark([]byte(message)); !reflect.DeepEqual(got, mark{}) {
			t.Errorf("%q: mark %+v", message, got)
		}
	}
	full := mark{seq: 1}
	if got := string(full.appendTo([]byte("\x8f\xa1a\x01"))); got != "\x8f\xa1a\x01" {
		t.Errorf("a map without room became %q", got)
	}
}

func FuzzMark(f *testing.F) {
	m := mark{seq: 1, before: []use{{channel: 1, seq: 1}}}
	f.Add(m.appendTo([]byte(`{"type":3}`)))
	f.Add(m.appendTo([]byte("\x81\xa1a\x01")))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := readMark(data)
		if len(got.before) > maxMarks {
			t.Errorf("%d channels", len(got.before))
		}
	})
}

// A received collects what a sequencer passes on.
type received struct {
	*sequencer

	mu    sync.Mutex
	all   []string
	since time.Time // of all subscriptions
}

func newReceived(streams ...string) *received {
	r := &received{since: time.Now()}
	r.sequencer = newSequencer(func(p *cluster.Packet) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, p.RequestID)
	},
		func(uint32) (time.Time, bool) { return r.since, true }, streams...)
	return r
}

func (r *received) over(channel, name string, m mark) {
	r.arrive(&cluster.Packet{From: sender, RequestID: name}, hashOf(channel), m, hashOf("stream"), len(name))
}

func (r *received) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

func (r *received) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := r.got(); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// Packets of one server over three channels arrive in any order, each channel in its own.
func TestOrderOverChannels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceived()
		defer r.close()
		time.Sleep(time.Second)
		var w markWriter
		var marks []mark
		for i := range 9 {
			channel := fmt.Sprint(i % 3)
			marks = append(marks, w.next(channel, "server "+channel))
		}
		for _, i := range []int{2, 5, 1, 8, 4, 0, 3, 6, 7} {
			r.over(fmt.Sprint(i%3), fmt.Sprint(i), marks[i])
		}
		r.expect(t, "0", "1", "2", "3", "4", "5", "6", "7", "8")
	})
}

// What is lost is waited for once, and not for long. What was sent before the subscription
// is not waited for.
func TestOrderWithLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceived()
		defer r.close()
		var w markWriter
		w.next("a", "a") // before this server was subscribed
		time.Sleep(time.Millisecond)
		r.since = time.Now()
		time.Sleep(time.Millisecond)
		r.over("b", "1", w.next("b", "b"))
		r.expect(t, "1")
		w.next("a", "a") // is lost
		r.over("b", "2", w.next("b", "b"))
		r.over("b", "3", w.next("b", "b"))
		r.expect(t, "1")
		time.Sleep(holdTime)
		r.expect(t, "1", "2", "3")
		r.over("b", "4", w.next("b", "b"))
		r.expect(t, "1", "2", "3", "4")
	})
}

// When a packet is held back until its time is over, those that came earlier and belong
// after it wait for it.
func TestOrderAfterTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceived()
		defer r.close()
		time.Sleep(time.Second)
		var w markWriter
		w.next("a", "a") // is lost
		first := w.next("b", "b")
		second := w.next("c", "c")
		r.over("c", "2", second)
		time.Sleep(holdTime / 2)
		r.over("b", "1", first)
		time.Sleep(holdTime * 3 / 4)
		r.expect(t)
		time.Sleep(holdTime)
		r.expect(t, "1", "2")
	})
}

// A message waits until the entry before it was read, and those of its channel wait with it.
func TestOrderWithStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceived("stream")
		defer r.close()
		r.over("channel", "1", mark{})
		r.over("channel", "2", mark{stream: entryID{Major: 5, Minor: 1}})
		r.over("channel", "3", mark{})
		r.advance(hashOf("stream"), entryID{Major: 5, Minor: 0})
		r.expect(t, "1")
		r.over("another", "4", mark{})
		r.expect(t, "1", "4")
		r.advance(hashOf("stream"), entryID{Major: 5, Minor: 1})
		r.expect(t, "1", "4", "2", "3")
		r.over("channel", "5", mark{stream: entryID{Major: 5, Minor: 1}})
		r.expect(t, "1", "4", "2", "3", "5")
	})
}

// A server that refers to what does not come makes others hold no more than a bound.
func TestOrderIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceived()
		defer r.close()
		time.Sleep(time.Second)
		for i := range uint64(2 * maxHeld) {
			r.over("a", "x", mark{seq: i + 1, before: []use{{channel: 1, seq: i + 1}}})
		}
		if n := r.held.Load(); n > maxHeld {
			t.Errorf("%d packets are held back", n)
		}
		if len(r.got())+int(r.held.Load()) != 2*maxHeld {
			t.Errorf("%d packets were passed on, %d are held back", len(r.got()), r.held.Load())
		}
		time.Sleep(holdTime)
		synctest.Wait()
		if len(r.got()) != 2*maxHeld {
			t.Errorf("%d packets were passed on", len(r.got()))
		}
	})
}
