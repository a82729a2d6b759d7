package sioadmin

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// When too much happens, the queue is bounded, and administrators get a new list.
func TestTooManyStates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
		d := siotest.Pipes(t, srv)
		a, err := Instrument(srv, Options{NoAuth: true, Mode: Development})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = srv.Shutdown(context.WithoutCancel(t.Context())) })
		page := d.WebSocket(t)
		page.Connect("/admin", "")
		synctest.Wait()
		f := a.feed
		f.mu.Lock()
		for i := range maxStates + 100 {
			f.stateLocked("room_joined", "/", fmt.Sprint("r", i), "id", now())
		}
		queued, overflowed := len(f.queue), f.overflowed
		f.mu.Unlock()
		if queued != maxStates || !overflowed {
			t.Errorf("%d states are queued, overflowed %v", queued, overflowed)
		}
		joined, lists := 0, 0
		for lists < 2 { // the one of the sign-in, and the new one
			switch p := page.Next(); {
			case len(p) > 30 && p[:24] == `42/admin,["room_joined",`:
				joined++
			case len(p) > 30 && p[:24] == `42/admin,["all_sockets",`:
				lists++
			}
		}
		if joined != maxStates {
			t.Errorf("the page got %d states, want %d", joined, maxStates)
		}
	})
}

// Events beyond what may wait are counted.
func TestTooManyEvents(t *testing.T) {
	t.Parallel()
	b := budget{perSecond: 2}
	synctest.Test(t, func(t *testing.T) {
		allowed := 0
		for range 10 {
			if b.take("/") {
				allowed++
			}
		}
		if n, namespace := b.takeLeftOut(); allowed != 2 || n != 8 || namespace != "/" {
			t.Errorf("%d were shown and %d of %q left out", allowed, n, namespace)
		}
	})
}
