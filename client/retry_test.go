package sioclient_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/idempotency"
)

// An event that is sent again, because its acknowledgement comes late, runs the function of
// its handler once. A late acknowledgement counts.
func TestCLI_EM_12_EM_10_IdempotencyKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(nil)
		var mu sync.Mutex
		events, calls := 0, 0
		srv.OnAny(func(*sio.Ctx) {
			mu.Lock()
			defer mu.Unlock()
			events++
		})
		srv.On("pay", idempotency.Reply(idempotency.New(nil), func(_ *sio.Ctx, n int) (int, error) {
			mu.Lock()
			calls++
			first := calls == 1
			mu.Unlock()
			if first {
				time.Sleep(25 * time.Second) // more than two AckTimeouts
			}
			return n, nil
		}))
		s := newSocket(t, siotest.Pipes(t, srv), "/", sioclient.Options{Retries: 5, IdempotencyKeys: true})
		if err := s.Connect(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if v, err := sioclient.EmitWithAck[int](context.Background(), s, "pay", i); v != i || err != nil {
				t.Errorf("payment %d: %d, %v", i, v, err)
			}
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if events != 5 || calls != 3 { // the first one came three times
			t.Errorf("%d events, %d calls", events, calls)
		}
	})
}

// An event is given up after n + 1 tries, and the next one follows. The times are exact.
func TestCLI_EM_9_Retries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(nil)
		var mu sync.Mutex
		var at []time.Duration
		start := time.Now()
		srv.On("lost", func(*sio.Ctx) error {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(start))
			return nil
		})
		s := newSocket(t, siotest.Pipes(t, srv), "/", sioclient.Options{Retries: 2, AckTimeout: 3 * time.Second})
		if err := s.Connect(context.Background()); err != nil {
			t.Fatal(err)
		}
		a, err := sioclient.Ask[int](s, "lost")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Emit("lost"); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Wait(context.Background()); !errors.Is(err, sioclient.ErrAckTimeout) || time.Since(start) != 9*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(time.Minute)
		var want []time.Duration
		for i := range 6 {
			want = append(want, time.Duration(3*i)*time.Second)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(at, want) {
			t.Errorf("the tries came at %v, want %v", at, want)
		}
	})
}
