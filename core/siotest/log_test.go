package siotest_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// TestLog runs the suite with a log that makes a mistake if that is wanted.
func TestLog(t *testing.T) {
	siotest.TestLog(t, synctest.Test, func(_ *testing.T, limits adapter.MemoryLogOptions) adapter.Log {
		if mistake() == "forgets nothing" {
			limits = adapter.MemoryLogOptions{MaxAge: 1 << 40}
		}
		return faultyLog{adapter.NewMemoryLog(limits), mistake()}
	})
}

func TestMistakesOfLogsAreFound(t *testing.T) {
	t.Parallel()
	mustBeFound(t, map[string]string{
		"delivers twice":   "TestLog/replay",
		"last comes first": "TestLog/replay",
		"replays to all":   "TestLog/rooms",
		"knows all":        "TestLog/unknown_offsets",
		"claims twice":     "TestLog/a_session_is_claimed_once",
		"forgets rooms":    "TestLog/sessions",
		"forgets nothing":  "TestLog/(age|bytes|number_of_sessions)",
	})
}

type faultyLog struct {
	*adapter.MemoryLog

	mistake string
}

func (l faultyLog) Append(m *adapter.Message, deliver func(offset string)) error {
	return l.MemoryLog.Append(m, func(offset string) {
		deliver(offset)
		if l.mistake == "delivers twice" {
			deliver(offset)
		}
	})
}

func (l faultyLog) Save(ctx context.Context, s *adapter.Session) error {
	c := *s
	if l.mistake == "forgets rooms" {
		c.Rooms = c.Rooms[:1]
	}
	return l.MemoryLog.Save(ctx, &c)
}

func (l faultyLog) Claim(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	s, err := l.MemoryLog.Claim(ctx, pid, offset)
	if l.mistake == "claims twice" && err == nil {
		err = l.Save(ctx, s)
	}
	return s, err
}

func (l faultyLog) Replay(
	ctx context.Context, offset string, rooms []string, f func(m *adapter.Message, offset string), last func(),
) error {
	switch l.mistake {
	case "replays to all":
		rooms = []string{"x", "a"}
	case "last comes first":
		last()
		last = func() {}
	}
	err := l.MemoryLog.Replay(ctx, offset, rooms, f, last)
	if l.mistake == "knows all" {
		err = nil
	}
	return err
}
