package sharedlog

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A message that is on its way to Redis has reached no client yet. So it is no reason not to
// keep the session of a client that has gone: a busy server always has such messages.
func TestSessionsAreKeptWhileMessagesAreOnTheirWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		l.say(t, "a")
		l.must(t)
		if barrier, ok := l.SaveBarrier(); !ok || barrier != (Place{}) {
			t.Errorf("barrier %s, %t", barrier, ok)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// On a server that is never idle, messages have offsets again, and sessions are kept, soon
// after Redis has stopped for a moment.
func TestBusyServersRecoverAfterAPauseOfRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		const (
			interval = 10 * time.Millisecond
			lag      = 5 // messages that are on their way
			pause    = 80
			total    = 200
		)
		read := 0
		for i := range total {
			l.say(t, fmt.Sprint(i))
			time.Sleep(interval)
			if i < pause {
				continue
			}
			for ; read <= i-lag; read++ {
				l.read(uint64(10+read), fmt.Sprint(read))
			}
		}
		synctest.Wait()
		if _, ok := l.SaveBarrier(); !ok {
			t.Errorf("sessions are not kept: %d messages are early", len(l.early))
		}
		if last := l.delivered[len(l.delivered)-1]; strings.HasSuffix(last, "at ") {
			t.Errorf("%q was delivered without an offset", last)
		}
		for i, what := range l.delivered {
			if !strings.HasPrefix(what, fmt.Sprint(i, " at")) {
				t.Fatalf("delivered %q", l.delivered)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What waits for Redis when the log is closed is delivered then.
func TestClosingDeliversWhatWaitsForRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLogTest()
		l.say(t, "a")
		l.sayHere(t, "b")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		l.must(t, "a at ", "b at ")
	})
}
