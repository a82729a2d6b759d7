package siotest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// sessions: what was saved is what is claimed.
func (s logSuite) sessions(t *testing.T) {
	j := s.journal(t, adapter.MemoryLogOptions{})
	offset := j.append(t, number(0))
	session := func(pid string) *adapter.Session {
		return &adapter.Session{
			ID: "id of " + pid, PID: pid, Data: []byte(`{"name":"Ann"}`),
			Rooms: []adapter.Stay{{Room: "é", From: "1", Pinned: true}, {Room: "", From: "2", To: "3"}},
			From:  "4", Complete: "5", Left: "6", Tried: "7",
		}
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
		if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: pid}); err != nil {
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
		if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: pid}); err != nil {
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
	if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: "pid"}); err != nil {
		t.Fatal(err)
	}
	m := event("large", strings.Repeat("x", limit/20), make([]byte, limit/20))
	m.Kind = adapter.Broadcast
	var last string
	for range 100 {
		last = j.append(t, m)
	}
	if _, err := j.Replay(t.Context(), first, 1<<30, func(*adapter.Message, string) {}, func() {}); err == nil {
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
		if err := j.Save(t.Context(), &adapter.Session{ID: "id", PID: strconv.Itoa(i)}); err != nil {
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
