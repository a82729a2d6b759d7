package siotest_test

import (
	"context"
	"strings"
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
		"delivers twice":    "TestLog/replay",
		"last comes first":  "TestLog/(replay|pieces)",
		"one piece":         "TestLog/pieces",
		"knows all":         "TestLog/unknown_offsets",
		"compares text":     "TestLog/offsets",
		"begins nowhere":    "TestLog/offsets",
		"keeps events only": "TestLog/replay",
		"claims twice":      "TestLog/a_session_is_claimed_once",
		"forgets rooms":     "TestLog/sessions",
		"forgets positions": "TestLog/sessions",
		"forgets nothing":   "TestLog/(age|bytes|number_of_sessions)",
	})
}

// TestLogThatDeliversLater runs the suite with a log that has a goroutine, as one behind
// a network would.
func TestLogThatDeliversLater(t *testing.T) {
	t.Parallel()
	siotest.TestLog(t, synctest.Test, func(_ *testing.T, limits adapter.MemoryLogOptions) adapter.Log {
		l := &lateLog{MemoryLog: adapter.NewMemoryLog(limits), queue: make(chan func(), 1000)}
		go func() { // ends with Close
			for do := range l.queue {
				do()
			}
		}()
		return l
	})
}

type lateLog struct {
	*adapter.MemoryLog

	queue chan func()
}

func (l *lateLog) Append(m *adapter.Message, deliver func(offset string)) error {
	l.queue <- func() { _ = l.MemoryLog.Append(m, deliver) } // which does not fail
	return nil
}

func (l *lateLog) Close() error {
	close(l.queue)
	return l.MemoryLog.Close()
}

type faultyLog struct {
	*adapter.MemoryLog

	mistake string
}

func (l faultyLog) Append(m *adapter.Message, deliver func(offset string)) error {
	if l.mistake == "keeps events only" && m.Kind != adapter.Broadcast {
		deliver("?")
		return nil
	}
	return l.MemoryLog.Append(m, func(offset string) {
		deliver(offset)
		if l.mistake == "delivers twice" {
			deliver(offset)
		}
	})
}

func (l faultyLog) Save(ctx context.Context, s *adapter.Session) error {
	c := *s
	switch l.mistake {
	case "forgets rooms":
		c.Rooms = c.Rooms[:1]
	case "forgets positions":
		c.From, c.Left = "", ""
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

func (l faultyLog) End() string {
	if end := l.MemoryLog.End(); l.mistake != "begins nowhere" || !strings.HasSuffix(end, ".0") {
		return end
	}
	return ""
}

func (l faultyLog) Compare(a, b string) int {
	if l.mistake == "compares text" {
		return strings.Compare(a, b)
	}
	return l.MemoryLog.Compare(a, b)
}

func (l faultyLog) Replay(
	ctx context.Context, offset string, limit int, f func(m *adapter.Message, offset string), last func(),
) (more bool, err error) {
	if l.mistake == "last comes first" && last != nil {
		last()
		last = func() {}
	}
	more, err = l.MemoryLog.Replay(ctx, offset, limit, f, last)
	switch l.mistake {
	case "knows all":
		err = nil
	case "one piece":
		more = false
	}
	return more, err
}
