package sio_test

import (
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// How long an answer waits at most that a handler emits before it waits itself.
const (
	answerLeaves      = time.Millisecond       // after handlers that are not known to be quick
	quickAnswerLeaves = 100 * time.Millisecond // after handlers that have always been quick
)

// slowly has handlers of "event" answer, and then wait for as long as the client says.
func slowly(srv *sio.Server) {
	srv.On("event", sio.Bind(func(c *sio.Ctx, ms int) error {
		if err := c.Emit("answer"); err != nil {
			return err
		}
		time.Sleep(time.Duration(ms) * time.Millisecond)
		return nil
	}))
}

// took sends an event whose handler waits, and returns how long its answer took.
func took(c *siotest.Client, event string) time.Duration {
	synctest.Wait() // nothing is being written
	start := time.Now()
	c.Send(event)
	c.Want(`42["answer"]`)
	return time.Since(start)
}

// Only an event whose handlers have been quick for a while is looked after less, until one
// takes long.
func TestAnswersBeforeAWaitLeaveInTime(t *testing.T) {
	const quick, slow = `42["event",0]`, `42["event",300]`
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		slowly(srv)
		c := d.WebSocket(t)
		c.Connect("/", "")
		want := func(why string, limit time.Duration) {
			t.Helper()
			if got := took(c, slow); got != limit {
				t.Errorf("%s: an answer took %v, want %v", why, got, limit)
			}
			time.Sleep(time.Second) // until the handler has returned
		}
		want("a new event", answerLeaves)
		for range 998 {
			took(c, quick)
		}
		want("an event that was slow once", answerLeaves)
		for range 1_000 {
			took(c, quick)
		}
		want("an event that was quick 1,000 times", quickAnswerLeaves)
		want("an event that has just been slow", answerLeaves)
	})
}

// A new event counts as quick after 20 calls.
func TestNewEventsHaveToProveThatTheyAreQuick(t *testing.T) {
	for calls, want := range map[int]time.Duration{19: answerLeaves, 20: quickAnswerLeaves} {
		bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
			slowly(srv)
			c := d.WebSocket(t)
			c.Connect("/", "")
			for range calls {
				took(c, `42["event",0]`)
			}
			if got := took(c, `42["event",300]`); got != want {
				t.Errorf("after %d calls an answer took %v, want %v", calls, got, want)
			}
		})
	}
}

// Handlers that have become a little slow, too little to be noticed by the engine, are found
// out by a look at the clock now and then.
func TestHandlersThatBecomeSlowAreFoundOut(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		slowly(srv)
		c := d.WebSocket(t)
		c.Connect("/", "")
		for range 20 {
			took(c, `42["event",0]`)
		}
		late := 0
		for range 2_000 { // one of 64 calls is timed
			if took(c, `42["event",5]`) > answerLeaves {
				late++
			}
			time.Sleep(10 * time.Millisecond) // until the handler has returned
		}
		if late > 1_000 {
			t.Errorf("%d answers of 2,000 waited for their handlers, want some 64", late)
		}
	})
}

// Among several events of one read, the slow one counts.
func TestASlowEventBehindAQuickOneIsTheSlowOne(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		slowly(srv)
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		for range 20 {
			took(c, `42["event",0]`)
			mustEcho(t, c)
		}
		took(c, `42["event",300]`)
		time.Sleep(time.Second)
		synctest.Wait()
		start := time.Now()
		c.Send(`42["echo","x"]`, `42["event",300]`)
		c.Want(`42["echo","x"]`)
		c.Want(`42["answer"]`)
		if got := time.Since(start); got != answerLeaves {
			t.Errorf("an answer of the slow event took %v, want %v", got, answerLeaves)
		}
	})
}
