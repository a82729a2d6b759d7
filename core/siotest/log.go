package siotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// TestLog tests an [adapter.Log]. It calls open for every subtest, which returns an
// empty log that is used until what open gave to t.Cleanup is called, after its
// Close. The log keeps about as much as the limits say; those that are zero do not
// matter.
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
		{"rooms", logSuite.rooms},
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

// append appends a message and returns its offset.
func (j journal) append(t *testing.T, m *adapter.Message) (offset string) {
	t.Helper()
	calls := 0
	err := j.Append(m, func(o string) { offset, calls = o, calls+1 })
	if err != nil || calls != 1 || offset == "" {
		t.Fatalf("appending: deliver was called %d times, offset %q, error %v", calls, offset, err)
	}
	return offset
}

// number returns a broadcast.
func number(i int) *adapter.Message {
	m := event("n", i)
	m.Kind = adapter.Broadcast
	return m
}

// since returns what is replayed to a client, in words, and the offsets.
func (j journal) since(t *testing.T, offset string, rooms ...string) (words, offsets []string) {
	t.Helper()
	last := 0
	err := j.Replay(t.Context(), offset, rooms, func(m *adapter.Message, o string) {
		words, offsets = append(words, inWords(m)), append(offsets, o)
		if last > 0 {
			t.Error("a message came after the last one")
		}
	}, func() { last++ })
	if err != nil || last != 1 {
		t.Fatalf("replaying since %q: last was called %d times, error %v", offset, last, err)
	}
	return words, offsets
}

// replay: what was appended comes back, unchanged, from every offset on.
func (s logSuite) replay(t *testing.T) {
	j := s.journal(t, adapter.MemoryLogOptions{})
	first := j.append(t, number(0))
	var words, offsets []string
	for _, m := range messages() {
		if m.Kind == adapter.Broadcast {
			m.Volatile, m.Target = false, adapter.Target{}
			words = append(words, inWords(m))
			offsets = append(offsets, j.append(t, m))
		}
	}
	for i, from := range append([]string{first}, offsets...) {
		w, o := j.since(t, from, "client")
		if !slices.Equal(w, words[i:]) || !slices.Equal(o, offsets[i:]) {
			t.Errorf("since offset %d: got %q at %q, want %q at %q", i, w, o, words[i:], offsets[i:])
		}
	}
	if slices.Sort(offsets); len(slices.Compact(offsets)) != len(words) || slices.Contains(offsets, first) {
		t.Errorf("offsets are not unique: %q, %q", first, offsets)
	}
}

// rooms: what a client would not have got is not replayed to it.
func (s logSuite) rooms(t *testing.T) {
	j := s.journal(t, adapter.MemoryLogOptions{})
	first := j.append(t, number(0))
	for i, target := range []adapter.Target{
		{}, {Rooms: []string{"a"}}, {Rooms: []string{"b", "c"}}, {Except: []string{"a"}}, {Rooms: []string{"a"}, Except: []string{"b"}}, {Rooms: []string{"x"}},
	} {
		m := number(i)
		m.Target = target
		j.append(t, m)
	}
	for rooms, want := range map[string]string{"x": "0 3 5", "x a": "0 1 4 5", "x b": "0 2 3 5", "x a b": "0 1 2 5", "": "0 3"} {
		words, _ := j.since(t, first, strings.Fields(rooms)...)
		var got []string
		for _, w := range words {
			got = append(got, w[strings.LastIndex(w, "{")+1:len(w)-1])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("to a client in %q: %q, want %s", rooms, got, want)
		}
	}
}

func (s logSuite) unknownOffsets(t *testing.T) {
	j, other := s.journal(t, adapter.MemoryLogOptions{}), s.journal(t, adapter.MemoryLogOptions{})
	known, foreign := j.append(t, number(0)), other.append(t, number(0))
	if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: "pid", Rooms: []string{"id"}}); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []string{"", "x", " ", "-1", known + "0", "9" + known, foreign, strings.Repeat("9", 1000)} {
		if offset == known {
			continue // such as a foreign one of a log that counts
		}
		err := j.Replay(t.Context(), offset, nil, func(*adapter.Message, string) {
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
	w, o := j.since(t, first)
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
			c := &list[k]
			err := j.Replay(t.Context(), first, nil, func(m *adapter.Message, _ string) {
				c.got = append(c.got, inWords(m))
			}, func() { c.receives = true })
			if err != nil {
				t.Errorf("replaying: %v", err)
			}
		})
	}
	all.Wait()
	want, _ := j.since(t, first)
	for k := range list {
		if !slices.Equal(list[k].got, want) {
			t.Errorf("client %d got %d messages, want %d in order", k, len(list[k].got), len(want))
		}
	}
}

// sessions: what was saved is what is claimed.
func (s logSuite) sessions(t *testing.T) {
	j := s.journal(t, adapter.MemoryLogOptions{})
	offset := j.append(t, number(0))
	session := func(pid string) *adapter.Session {
		return &adapter.Session{ID: "id of " + pid, PID: pid, Rooms: []string{"id", "é"}, Data: []byte(`{"name":"Ann"}`)}
	}
	for _, pid := range []string{"a", "b"} {
		if err := j.Save(t.Context(), session(pid)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Claim(t.Context(), "c", offset); !errors.Is(err, adapter.ErrUnknownSession) {
		t.Errorf("claiming what nobody saved: %v", err)
	}
	for range 2 { // who comes back may go again
		got, err := j.Claim(t.Context(), "b", offset)
		if err != nil {
			t.Fatalf("claiming: %v", err)
		}
		got.Local = nil
		if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", session("b")); g != w {
			t.Errorf("got %s, want %s", g, w)
		}
		if got, err = j.Claim(t.Context(), "b", offset); !errors.Is(err, adapter.ErrUnknownSession) {
			t.Errorf("claimed twice: %v, %v", got, err)
		}
		if err := j.Save(t.Context(), session("b")); err != nil {
			t.Fatal(err)
		}
	}
}

func (s logSuite) claimedOnce(t *testing.T) {
	j := s.journal(t, adapter.MemoryLogOptions{})
	offset := j.append(t, number(0))
	for i := range 20 {
		pid := fmt.Sprint("pid ", i)
		if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: pid, Rooms: []string{"id"}}); err != nil {
			t.Fatal(err)
		}
		claims := make(chan error, 8)
		for range cap(claims) {
			go func() { // ends with the claim
				_, err := j.Claim(t.Context(), pid, offset)
				claims <- err
			}()
		}
		got := 0
		for range cap(claims) {
			if err := <-claims; err == nil {
				got++
			} else if !errors.Is(err, adapter.ErrUnknownSession) {
				t.Errorf("claiming: %v", err)
			}
		}
		if got != 1 {
			t.Fatalf("a session was claimed %d times", got)
		}
	}
}

// maxAge is what sessions may reach in these tests.
const maxAge = 2 * time.Second

// age: sessions are kept for some time, and so are the messages that they need.
func (s logSuite) age(t *testing.T) {
	j := s.journal(t, adapter.MemoryLogOptions{MaxAge: maxAge})
	offset := j.append(t, number(0))
	for _, pid := range []string{"young", "old"} {
		if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: pid, Rooms: []string{"id"}}); err != nil {
			t.Fatal(err)
		}
	}
	j.append(t, number(1))
	<-time.After(maxAge / 4)
	if _, err := j.Claim(t.Context(), "young", offset); err != nil {
		t.Errorf("before its time: %v", err)
	}
	if words, _ := j.since(t, offset); len(words) != 1 {
		t.Errorf("%d messages, want 1", len(words))
	}
	<-time.After(2 * maxAge)
	if _, err := j.Claim(t.Context(), "old", offset); !errors.Is(err, adapter.ErrUnknownSession) {
		t.Errorf("after its time: %v", err)
	}
}

// size: the oldest messages go when there are too many bytes, and with them the
// sessions that need them.
func (s logSuite) size(t *testing.T) {
	const limit = 100_000
	j := s.journal(t, adapter.MemoryLogOptions{MaxBytes: limit})
	first := j.append(t, number(0))
	if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: "pid", Rooms: []string{"id"}}); err != nil {
		t.Fatal(err)
	}
	m := event("large", strings.Repeat("x", limit/20), make([]byte, limit/20))
	m.Kind = adapter.Broadcast
	var last string
	for range 100 {
		last = j.append(t, m)
	}
	if err := j.Replay(t.Context(), first, nil, func(*adapter.Message, string) {}, func() {}); err == nil {
		t.Error("ten times the limit is kept")
	}
	if _, err := j.Claim(t.Context(), "pid", first); !errors.Is(err, adapter.ErrUnknownSession) {
		t.Errorf("claiming a session whose messages have gone: %v", err)
	}
	if words, _ := j.since(t, last); len(words) > 0 {
		t.Errorf("%d messages after the last one", len(words))
	}
}

// manySessions: the oldest go when there are too many.
func (s logSuite) manySessions(t *testing.T) {
	const limit = 100
	j := s.journal(t, adapter.MemoryLogOptions{MaxSessions: limit})
	offset := j.append(t, number(0))
	for i := range 10 * limit {
		if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: strconv.Itoa(i), Rooms: []string{"id"}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Claim(t.Context(), "0", offset); !errors.Is(err, adapter.ErrUnknownSession) {
		t.Errorf("ten times the limit is kept: %v", err)
	}
	if _, err := j.Claim(t.Context(), strconv.Itoa(10*limit-1), offset); err != nil {
		t.Errorf("the last one: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = j.Claim(ctx, "1", offset) // must not hang
}
