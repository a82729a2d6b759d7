package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func TestWaitForRoom(t *testing.T) {
	f := message(strings.Repeat("x", 1000))
	// waits sends a message and waits until nothing waits for the client.
	waits := func(ctx context.Context, p *enginetest.Peer) <-chan error {
		done := make(chan error, 1)
		if err := p.Session.Send(f); err != nil {
			done <- err
			return done
		}
		go func() { done <- p.Session.WaitForRoom(ctx, 0) }() // ends with the session
		synctest.Wait()
		return done
	}
	still := func(t *testing.T, done <-chan error) {
		t.Helper()
		select {
		case err := <-done:
			t.Fatalf("it does not wait: %v", err)
		default:
		}
	}
	inBubble(t, "until a WebSocket is read", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := dialSlow(k)
		done := waits(t.Context(), p)
		still(t, done)
		same(t, "where there is room", p.Session.WaitForRoom(t.Context(), p.Session.Buffered()), nil)
		c.Resume()
		same(t, "error", <-done, nil)
		same(t, "buffered", p.Session.Buffered(), 0)
	})
	inBubble(t, "until there is a poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		done := waits(t.Context(), p.Peer)
		still(t, done)
		p.Get()
		same(t, "error", <-done, nil)
	})
	inBubble(t, "until the session ends", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		done := waits(t.Context(), p.Peer)
		p.Session.Close(nil)
		same(t, "error", <-done, engine.ErrClosed)
		same(t, "afterwards", p.Session.WaitForRoom(t.Context(), 1<<30), engine.ErrClosed)
	})
	inBubble(t, "until the context ends", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		ctx, cancel := context.WithCancel(t.Context())
		done := waits(ctx, p.Peer)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
	inBubble(t, "Flush waits for what was sent before alone", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		if p.Session.TryFlush() != true {
			t.Error("something waits at first")
		}
		same(t, "with nothing to wait for", p.Session.Flush(t.Context()), nil)
		done := make(chan error, 1)
		same(t, "error", p.Session.Send(f), nil)
		same(t, "nobody polls", p.Session.TryFlush(), false)
		go func() { done <- p.Session.Flush(t.Context()) }() // ends with the session
		synctest.Wait()
		p.Get()
		same(t, "error", p.Session.Send(f), nil) // before it looks, or afterwards
		same(t, "error of Flush", <-done, nil)
		p.Session.Close(nil)
		same(t, "afterwards", p.Session.Flush(t.Context()), engine.ErrClosed)
	})
	inBubble(t, "Flush does not take an answer for sent that cannot be written", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		done := make(chan error, 1)
		same(t, "error", p.Session.Send(f), nil)
		go func() { done <- p.Session.Flush(t.Context()) }() // ends with the session
		synctest.Wait()
		c := k.Prepare(enginetest.Request{Query: p.Query()})
		k.Serve(t.Context(), &brokenSender{Call: c})
		same(t, "error of Flush", <-done, engine.ErrClosed)
		same(t, "afterwards", p.Session.Flush(t.Context()), engine.ErrClosed)
	})
	inBubble(t, "several at the same time", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		first, second := waits(t.Context(), p.Peer), waits(t.Context(), p.Peer)
		p.Get()
		same(t, "error", errors.Join(<-first, <-second), nil)
	})
}

// A brokenSender is an exchange that cannot write its answer.
type brokenSender struct {
	*enginetest.Call

	sent func(err error)
}

// SendWithin implements [engine.Sender].
func (*brokenSender) SendWithin(time.Duration) {}

// OnSent implements [engine.Sender].
func (x *brokenSender) OnSent(f func(err error)) { x.sent = f }

// Respond implements [engine.Exchange].
func (x *brokenSender) Respond(engine.Response) error {
	err := errors.New("broken")
	x.sent(err)
	time.Sleep(time.Second) // in which those who wait for the answer look
	return err
}
