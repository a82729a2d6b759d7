package sio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// Whoever asks in a goroutine of its own asks at any time.
func TestAskIsInOrderWithOtherEmits(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				const n = 100
				sum := make(chan int, 1)
				srv.On("start", func(c *sio.Ctx) error {
					var answers []sio.Answer[int]
					for i := range n {
						a, err := sio.Ask[int](c.Socket, "question", i)
						if err != nil {
							return err
						}
						if err := c.Emit("after", i); err != nil {
							return err
						}
						answers = append(answers, a)
					}
					total := 0
					for _, a := range answers {
						v, err := a.Wait(c.Context())
						if err != nil {
							return err
						}
						total += v
					}
					sum <- total
					return nil
				})
				c := open(t, d)
				c.Connect("/", "")
				c.Send(`42["start"]`)
				var ids []string
				for i := range n {
					ids = append(ids, asked(t, c, fmt.Sprintf(`["question",%d]`, i)))
					c.Want(fmt.Sprintf(`42["after",%d]`, i))
				}
				for _, id := range slices.Backward(ids) {
					c.Send("43" + id + "[2]")
				}
				if got := <-sum; got != 2*n {
					t.Errorf("the answers are %d together", got)
				}
			})
		})
	}
}

func TestAnAnswerIsKeptForWhoeverWaits(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, c *siotest.Client) {
		a, err := sio.Ask[string](s, "question", 1)
		must(t, err)
		all, err := s.Ask("question", 1)
		must(t, err)
		id, idOfAll := asked(t, c, theQuestion), asked(t, c, theQuestion)
		ended, cancel := context.WithCancel(t.Context())
		cancel()

		got := make(chan string, 3)
		for range cap(got) {
			go func() {
				v, err := a.Wait(t.Context())
				must(t, err)
				got <- v
			}()
		}
		synctest.Wait()
		c.Send("43"+id+`["yes",2]`, "43"+idOfAll+`["one",2]`)
		for range cap(got) {
			if v := <-got; v != "yes" {
				t.Errorf("the answer is %q", v)
			}
		}
		synctest.Wait()
		for range 2 { // it has come, so no context matters
			v, err := a.Wait(ended)
			if v != "yes" || err != nil {
				t.Errorf("again: %q, %v", v, err)
			}
		}
		values, err := all.Wait(t.Context())
		var text string
		var number int
		if must(t, err); values.Bind(&text, &number) != nil || text != "one" || number != 2 {
			t.Errorf("all values: %q, %d", text, number)
		}
		if v, err := sio.EmitWithAck[sio.Args](ended, s, "question", 1); !errors.Is(err, context.Canceled) || v.Len() != 0 {
			t.Errorf("a context that has ended: %v, %d values", err, v.Len())
		}
	})
}

// The last one who gives up has the answer forgotten.
func TestAnAnswerIsForgottenWithItsLastContext(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, c *siotest.Client) {
		a, err := sio.Ask[int](s, "question", 1)
		must(t, err)
		id := asked(t, c, theQuestion)
		wait := func(d time.Duration) <-chan error {
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				_, err := a.Wait(ctx)
				done <- err
			}()
			return done
		}
		long, short := wait(20*time.Second), wait(time.Second)
		start := time.Now()
		if err := <-short; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		select {
		case err := <-long:
			t.Fatalf("the other one gets %v", err)
		default:
		}
		if err := <-long; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		c.Send("43" + id + "[1]") // too late
		mustEcho(t, c)
		if _, err := a.Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestAnAnswerOfAClientThatHasGone(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, c *siotest.Client) {
		a, err := s.Ask("question", 1) // nobody waits
		must(t, err)
		asked(t, c, theQuestion)
		c.Send("41")
		synctest.Wait()
		for _, ctx := range []context.Context{t.Context(), s.Context()} {
			if _, err := a.Wait(ctx); !errors.Is(err, sio.ErrDisconnected) {
				t.Errorf("Wait: %v", err)
			}
		}
		if _, err := s.Ask("question", 1); !errors.Is(err, sio.ErrDisconnected) {
			t.Errorf("Ask: %v", err)
		}
	})
}

func TestAskThatFails(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, c *siotest.Client) {
		a, err := sio.Ask[int](s, "connect")
		if !errors.Is(err, sio.ErrReservedEvent) {
			t.Errorf("Ask: %v", err)
		}
		if _, err := a.Wait(t.Context()); err == nil {
			t.Error("an answer to no question")
		}
		if _, err := sio.Ask[int](s, "question", make(chan int)); err == nil {
			t.Error("a channel was sent")
		}
		mustEcho(t, c)
	})
}

// Only those who wait learn that acknowledgements cannot be read: the others may still
// be read when the handlers have returned.
func TestABlockedAnswerThatNobodyWaitsForIsReadLater(t *testing.T) {
	bubble(t, &sio.Options{MaxPendingEvents: 4, MaxPendingBytes: 10_000}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		later := make(chan sio.Answer[int], 1)
		srv.On("event", func(*sio.Ctx) error { return nil })
		srv.On("ask", func(c *sio.Ctx) error {
			a, err := sio.Ask[int](c.Socket, "question", 1)
			if err != nil {
				return err
			}
			later <- a
			if _, err := c.EmitWithAck(c.Context(), "blocked"); !errors.Is(err, sio.ErrAckBlocked) {
				t.Errorf("error %v", err)
			}
			return nil
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		go func() {
			_ = c.TrySend(append([]string{`42["ask"]`}, slices.Repeat([]string{`42["event"]`}, 500)...)...)
		}()
		id := asked(t, c, theQuestion)
		asked(t, c, `["blocked"]`)
		synctest.Wait()
		c.Send("43" + id + "[7]")
		if v, err := (<-later).Wait(t.Context()); v != 7 || err != nil {
			t.Errorf("answer %d, %v", v, err)
		}
	})
}

// A nil context makes the handler fail. It must not count as one that waits: the client's
// events would be read beyond the limits for ever.
func TestAWaitThatPanicsLeavesNoWaiter(t *testing.T) {
	opts := &sio.Options{MaxPendingEvents: 4, Logger: slog.New(new(logbook))}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		ended := make(chan struct{})
		srv.On("wait", func(c *sio.Ctx) error {
			var none context.Context
			_, err := c.EmitWithAck(none, "question", 1)
			return err
		})
		srv.On("block", func(*sio.Ctx) error { <-ended; return nil })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["wait"]`)
		asked(t, c, theQuestion)
		var sent atomic.Int32
		go func() {
			for c.TrySend(`42["block"]`) == nil {
				sent.Add(1)
			}
		}()
		time.Sleep(time.Second)
		if n := sent.Load(); n == 0 || n > 20 {
			t.Errorf("%d events were read, and 4 may wait", n)
		}
		c.Abort()
		close(ended)
	})
}
