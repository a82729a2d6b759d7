package siotest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// TestLog tests an [adapter.Log]. It calls open for every subtest. open returns an empty
// log, and may end it by t.Cleanup, which runs after the log's Close. The log keeps about
// as much as the limits say. A limit of zero does not matter.
//
// Each subtest is run by run: directly if that is nil, which takes some seconds. For
// logs in memory it can be [testing/synctest.Test].
func TestLog(
	t *testing.T, run func(t *testing.T, f func(t *testing.T)),
	open func(t *testing.T, limits adapter.MemoryLogOptions) adapter.Log,
) {
	t.Helper()
	if run == nil {
		run = func(t *testing.T, f func(t *testing.T)) { t.Helper(); f(t) }
	}
	for _, tt := range []struct {
		name string
		test func(logSuite, *testing.T)
	}{
		{"replay", logSuite.replay},
		{"pieces", logSuite.pieces},
		{"offsets", logSuite.offsets},
		{"unknown offsets", logSuite.unknownOffsets},
		{"order", logSuite.order},
		{"nothing is missed or doubled", logSuite.nothingMissed},
		{"sessions", logSuite.sessions},
		{"a session is claimed once", logSuite.claimedOnce},
		{"age", logSuite.age},
		{"bytes", logSuite.size},
		{"number of sessions", logSuite.manySessions},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, func(t *testing.T) { tt.test(logSuite{open}, t) })
		})
	}
}

type logSuite struct {
	open func(t *testing.T, limits adapter.MemoryLogOptions) adapter.Log
}

// A journal is a log with what the tests do with it.
type journal struct{ adapter.Log }

func (s logSuite) journal(t *testing.T, limits adapter.MemoryLogOptions) journal {
	t.Helper()
	l := s.open(t, limits)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return journal{l}
}

// longEnough is how long a log may take to deliver a message.
const longEnough = 10 * time.Second

// append appends a message and returns its offset, when the log has delivered it.
func (j journal) append(t *testing.T, m *adapter.Message) (offset string) {
	t.Helper()
	offsets := make(chan string, 2)
	if err := j.Append(m, func(o string) { offsets <- o }); err != nil {
		t.Fatalf("appending: %v", err)
	}
	select {
	case offset = <-offsets:
	case <-time.After(longEnough):
		t.Fatalf("a message was not delivered within %v", longEnough)
	}
	if offset == "" || len(offsets) > 0 {
		t.Fatalf("appending: offset %q, deliver was called once more: %t", offset, len(offsets) > 0)
	}
	return offset
}

// number returns a broadcast.
func number(i int) *adapter.Message {
	m := event("n", i)
	m.Kind = adapter.Broadcast
	return m
}

// since returns what is replayed, in words, and the offsets.
func (j journal) since(t *testing.T, offset string) (words, offsets []string) {
	t.Helper()
	last := 0
	more, err := j.Replay(t.Context(), offset, 1<<30, func(m *adapter.Message, o string) {
		words, offsets = append(words, inWords(m)), append(offsets, o)
		if last > 0 {
			t.Error("a message came after the last one")
		}
	}, func() { last++ })
	if err != nil || more || last != 1 {
		t.Fatalf("replaying since %q: last was called %d times, more: %t, error %v", offset, last, more, err)
	}
	return words, offsets
}

// replay: what was appended comes back, unchanged, from every offset on.
func (s logSuite) replay(t *testing.T) {
	j := s.journal(t, adapter.MemoryLogOptions{})
	first := j.append(t, number(0))
	var words, offsets []string
	for _, m := range append(messages(), pinning()...) {
		if m.Kind == adapter.ServerEvent {
			continue // is not for clients
		}
		m.Volatile = false
		words = append(words, inWords(m))
		offsets = append(offsets, j.append(t, m))
	}
	for i, from := range append([]string{first}, offsets...) {
		w, o := j.since(t, from)
		if !slices.Equal(w, words[i:]) || !slices.Equal(o, offsets[i:]) {
			t.Errorf("since offset %d: got %q at %q, want %q at %q", i, w, o, words[i:], offsets[i:])
		}
	}
	if slices.Sort(offsets); len(slices.Compact(offsets)) != len(words) || slices.Contains(offsets, first) {
		t.Errorf("offsets are not unique: %q, %q", first, offsets)
	}
}

// pinning returns messages that only logs have.
func pinning() []*adapter.Message {
	self := adapter.Target{Rooms: []string{"id"}}
	return []*adapter.Message{
		{Kind: adapter.Join, Target: self, Rooms: []string{"a"}, Pin: true},
		{Kind: adapter.Leave, Target: self, Rooms: []string{"a"}, Pin: true},
	}
}

// pieces: however little is wanted, everything comes, and last only at the end.
func (s logSuite) pieces(t *testing.T) {
	const n, size = 30, 1000
	j := s.journal(t, adapter.MemoryLogOptions{})
	first := j.append(t, number(0))
	for i := range n {
		m := event("n", i, strings.Repeat("x", size))
		m.Kind = adapter.Broadcast
		j.append(t, m)
	}
	want, _ := j.since(t, first)
	for _, limit := range []int{1, size, 5 * size, 2 * n * size} {
		var got []string
		at, ended, pieces := first, false, 0
		for more := true; more && pieces <= n; pieces++ {
			inPiece := 0
			var err error
			more, err = j.Replay(t.Context(), at, limit, func(m *adapter.Message, o string) {
				got, at, inPiece = append(got, inWords(m)), o, inPiece+1
			}, func() { ended = true })
			if err != nil || ended == more || inPiece == 0 || (inPiece-1)*size > limit {
				t.Fatalf("limit %d: a piece of %d messages, more: %t, last was called: %t, error %v", limit, inPiece, more, ended, err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: got %d messages in %d pieces, want %d in order", limit, len(got), pieces, len(want))
		}
	}
	if more, err := j.Replay(t.Context(), j.End(), 1, func(*adapter.Message, string) { t.Error("a message after the last one") }, nil); more || err != nil {
		t.Errorf("behind the last message: more: %t, error %v", more, err)
	}
}

// offsets: they can be compared, and the end is a place like others.
func (s logSuite) offsets(t *testing.T) {
	j := s.journal(t, adapter.MemoryLogOptions{})
	all := []string{j.End()}
	for i := range 100 { // enough for one digit more
		all = append(all, j.append(t, number(i)))
		if end := j.End(); end != all[i+1] {
			t.Fatalf("the end is %q, want %q", end, all[i+1])
		}
	}
	for i, a := range all {
		for k, b := range all {
			if got := j.Compare(a, b); got < 0 != (i < k) || got > 0 != (i > k) {
				t.Fatalf("comparing %q and %q: %d", a, b, got)
			}
		}
	}
	if words, _ := j.since(t, all[0]); len(words) != 100 {
		t.Errorf("since the end of an empty log: %d messages, want 100", len(words))
	}
}

// unknownOffsets: what is no offset of this log finds nothing.
func (s logSuite) unknownOffsets(t *testing.T) {
	j, other := s.journal(t, adapter.MemoryLogOptions{}), s.journal(t, adapter.MemoryLogOptions{})
	known, foreign := j.append(t, number(0)), other.append(t, number(0))
	if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: "pid"}); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []string{"", "x", " ", "-1", known + "0", "9" + known, foreign, strings.Repeat("9", 1000)} {
		if offset == known {
			continue // such as a foreign one of a log that counts
		}
		_, err := j.Replay(t.Context(), offset, 1, func(*adapter.Message, string) {
			t.Errorf("offset %.20q: a message was replayed", offset)
		}, func() { t.Errorf("offset %.20q: last was called", offset) })
		if err == nil {
			t.Errorf("offset %.20q: no error", offset)
		}
		if got, err := j.Claim(t.Context(), "pid", offset); !errors.Is(err, adapter.ErrUnknownSession) {
			t.Errorf("offset %.20q: claimed %v, error %v", offset, got, err)
		}
	}
}

// order: deliveries do not overlap, and are in the order in which messages are
// replayed.
func (s logSuite) order(t *testing.T) {
	const n, writers = 50, 4
	j := s.journal(t, adapter.MemoryLogOptions{})
	first := j.append(t, number(0))
	var delivered, offsets []string // no lock: the race detector has its say
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range n {
				m := number(w*n + i)
				err := j.Append(m, func(o string) {
					delivered, offsets = append(delivered, inWords(m)), append(offsets, o)
				})
				if err != nil {
					t.Errorf("appending: %v", err)
				}
			}
		})
	}
	all.Wait()
	j.append(t, number(-1)) // when the others have been delivered
	w, o := j.since(t, first)
	w, o = w[:len(w)-1], o[:len(o)-1]
	if len(w) != n*writers || !slices.Equal(w, delivered) || !slices.Equal(o, offsets) {
		t.Errorf("%d messages are replayed in another order than %d were delivered", len(w), len(delivered))
	}
}

// nothingMissed: a client that becomes a receiver when the replay ends gets
// everything once.
func (s logSuite) nothingMissed(t *testing.T) {
	const n, clients = 200, 4
	j := s.journal(t, adapter.MemoryLogOptions{})
	first := j.append(t, number(-1))
	type client struct {
		receives bool
		got      []string
	}
	var list [clients]client // no lock, as above
	var all sync.WaitGroup
	started := make(chan struct{})
	all.Go(func() {
		for i := range n {
			m := number(i)
			err := j.Append(m, func(string) {
				for k := range list {
					if c := &list[k]; c.receives {
						c.got = append(c.got, inWords(m))
					}
				}
			})
			if err != nil {
				t.Errorf("appending: %v", err)
			}
			if i == n/10 {
				close(started)
			}
		}
	})
	for k := range list {
		all.Go(func() {
			<-started
			c, at := &list[k], first
			for more := true; more; { // in pieces
				var err error
				more, err = j.Replay(t.Context(), at, 5000, func(m *adapter.Message, o string) {
					c.got, at = append(c.got, inWords(m)), o
				}, func() { c.receives = true })
				if err != nil {
					t.Errorf("replaying: %v", err)
				}
			}
		})
	}
	all.Wait()
	j.append(t, number(n))
	want, _ := j.since(t, first)
	want = want[:len(want)-1]
	for k := range list {
		if !slices.Equal(list[k].got, want) {
			t.Errorf("client %d got %d messages, want %d in order", k, len(list[k].got), len(want))
		}
	}
}
