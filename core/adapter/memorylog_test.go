package adapter_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestMemoryLog(t *testing.T) {
	siotest.TestLog(t, synctest.Test, func(_ *testing.T, limits adapter.MemoryLogOptions) adapter.Log {
		return adapter.NewMemoryLog(limits)
	})
}

// A log is one with what the tests do with it, in a bubble.
type log struct {
	*adapter.MemoryLog

	t *testing.T
}

func bubble(t *testing.T, opts adapter.MemoryLogOptions, f func(t *testing.T, l log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := log{adapter.NewMemoryLog(opts), t}
		defer func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, l)
	})
}

func (l log) append(size int) (offset string) {
	l.t.Helper()
	m := &adapter.Message{Kind: adapter.Broadcast, Data: make([]byte, size)}
	if err := l.Append(m, func(o string) { offset = o }); err != nil {
		l.t.Fatal(err)
	}
	return offset
}

func (l log) save(pid string) {
	l.t.Helper()
	if err := l.Save(l.t.Context(), &adapter.Session{ID: "id", PID: pid}); err != nil {
		l.t.Fatal(err)
	}
}

// knows reports whether all messages after an offset are still there.
func (l log) knows(offset string) bool {
	l.t.Helper()
	_, err := l.Replay(l.t.Context(), offset, 1, func(*adapter.Message, string) {}, nil)
	if err != nil && !errors.Is(err, adapter.ErrUnknownOffset) {
		l.t.Error(err)
	}
	return err == nil
}

// has claims a session.
func (l log) has(pid, offset string) bool {
	l.t.Helper()
	_, err := l.Claim(l.t.Context(), pid, offset)
	if err != nil && !errors.Is(err, adapter.ErrUnknownSession) {
		l.t.Error(err)
	}
	return err == nil
}

// Sessions are kept for MaxAge, and messages for twice as long, to the nanosecond.
func TestMemoryLogForgetsWithTime(t *testing.T) {
	const age = 10 * time.Second
	for _, c := range []struct {
		after          time.Duration
		session, known bool
	}{
		{0, true, true},
		{age - 1, true, true},
		{age, false, true},
		{2*age - 1, false, true},
		{2 * age, false, false},
		{time.Hour, false, false},
	} {
		t.Run(c.after.String(), func(t *testing.T) {
			bubble(t, adapter.MemoryLogOptions{MaxAge: age}, func(t *testing.T, l log) {
				first := l.append(1)
				l.append(1)
				l.save("pid")
				time.Sleep(c.after)
				if got := l.has("pid", first); got != c.session {
					t.Errorf("the session is there: %t", got)
				}
				if got := l.knows(first); got != c.known {
					t.Errorf("the offset is known: %t", got)
				}
			})
		})
	}
}

// The limit counts data, attachments, and something for each message.
func TestMemoryLogForgetsWhenThereIsTooMuch(t *testing.T) {
	const overhead = 256
	for _, c := range []struct {
		excess int
		known  bool
	}{{0, true}, {1, false}} {
		bubble(t, adapter.MemoryLogOptions{MaxBytes: 3*overhead + 60}, func(t *testing.T, l log) {
			zeroth := l.append(0) // which does not have to be there
			l.append(10)
			m := &adapter.Message{Data: make([]byte, 10), Attachments: [][]byte{make([]byte, 10), make([]byte, 10)}}
			if err := l.Append(m, func(string) {}); err != nil {
				t.Fatal(err)
			}
			last := l.append(20 + c.excess)
			if got := l.knows(zeroth); got != c.known {
				t.Errorf("%d bytes more than allowed: the first one is there: %t", c.excess, got)
			}
			if !l.knows(last) {
				t.Error("the last one is unknown")
			}
		})
	}
	bubble(t, adapter.MemoryLogOptions{MaxBytes: 100}, func(t *testing.T, l log) {
		if offset := l.append(1000); !l.knows(offset) {
			t.Error("nothing comes after the last message, so its offset is known")
		}
	})
}

func TestMemoryLogBoundsSessions(t *testing.T) {
	bubble(t, adapter.MemoryLogOptions{MaxSessions: 2}, func(t *testing.T, l log) {
		offset := l.append(1)
		l.save("a")
		l.save("b")
		if !l.has("a", offset) {
			t.Error("two sessions are too many")
		}
		l.save("c")
		l.save("d")
		if l.has("b", offset) || !l.has("c", offset) || !l.has("d", offset) {
			t.Error("three sessions are not too many, or the wrong one went")
		}
	})
}

// A session that was saved again is as old as that.
func TestMemoryLogKeepsTheNewerSession(t *testing.T) {
	bubble(t, adapter.MemoryLogOptions{MaxAge: 10 * time.Second}, func(t *testing.T, l log) {
		offset := l.append(1)
		l.save("pid")
		time.Sleep(6 * time.Second)
		l.save("pid")
		time.Sleep(6 * time.Second)
		if !l.has("pid", offset) {
			t.Error("the session went with the older one")
		}
	})
}

// What nobody asks for is forgotten all the same.
func TestMemoryLogDoesNotHoldMemoryWhenIdle(t *testing.T) {
	bubble(t, adapter.MemoryLogOptions{MaxAge: time.Second}, func(t *testing.T, l log) {
		var collected atomic.Bool
		func() {
			m := &adapter.Message{Data: make([]byte, 1000)}
			runtime.AddCleanup(m, func(c *atomic.Bool) { c.Store(true) }, &collected)
			if err := l.Append(m, func(string) {}); err != nil {
				t.Fatal(err)
			}
			l.save("pid")
		}()
		time.Sleep(time.Minute)
		for i := 0; !collected.Load(); i++ {
			if i == 1000 {
				t.Fatal("the message is still held")
			}
			runtime.GC()
		}
	})
}

func TestMemoryLogAfterClose(t *testing.T) {
	bubble(t, adapter.MemoryLogOptions{}, func(t *testing.T, l log) {
		offset := l.append(1)
		l.save("pid")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l.has("pid", offset) {
			t.Error("the session is still there")
		}
	})
}

// Thousands of messages come and go; memory grows and shrinks with them.
func TestMemoryLogOverTime(t *testing.T) {
	bubble(t, adapter.MemoryLogOptions{MaxAge: 10 * time.Second}, func(t *testing.T, l log) {
		var offsets []string
		for i := range 5000 {
			offsets = append(offsets, l.append(10))
			pid := fmt.Sprint(i)
			l.save(pid)
			time.Sleep(time.Duration(i%7) * 10 * time.Millisecond)
			if i%3 == 0 && !l.has(pid, offsets[i]) {
				t.Fatalf("session %d is unknown", i)
			}
			if i%500 == 499 {
				time.Sleep(time.Minute)
				if l.knows(offsets[i-1]) || l.has(fmt.Sprint(i-1), offsets[i]) {
					t.Fatalf("message or session %d is still there", i-1)
				}
			}
		}
	})
}
