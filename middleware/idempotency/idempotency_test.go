package idempotency_test

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/idempotency"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type key struct {
	Key string `json:"idempotencyKey"`
}

func newServer() *sio.Server { return sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)}) }

func TestCLI_EM_12_Once(t *testing.T) {
	t.Parallel()
	srv := newServer()
	var calls atomic.Int64
	store := idempotency.New(nil)
	srv.On("add", idempotency.Reply(store, func(_ *sio.Ctx, n int64) (int64, error) { return calls.Add(n), nil }))
	srv.On("hit", idempotency.Bind(store, func(_ *sio.Ctx, _ sio.Optional[int]) error { calls.Add(100); return nil }))
	d := siotest.Pipes(t, srv)
	a, b := d.Connect(t, "/", nil), d.Connect(t, "/", nil)
	for _, step := range []struct {
		peer  *siotest.Peer
		event string
		args  []any
		want  int64
	}{
		{a, "add", []any{1, key{"k1"}}, 1},
		{a, "add", []any{1, key{"k1"}}, 1}, // again
		{b, "add", []any{1, key{"k1"}}, 1}, // over another connection
		{a, "add", []any{1, key{"k2"}}, 2},
		{a, "add", []any{1}, 3}, // without a key
		{a, "add", []any{1}, 4},
		{a, "hit", []any{key{"k1"}}, 104}, // another event
		{a, "hit", []any{key{"k1"}}, 104},
		{a, "hit", []any{key{"k3"}}, 204},
	} {
		step.peer.Ask(step.event, step.args...).Bind()
		if got := calls.Load(); got != step.want {
			t.Errorf("%s %v: %d, want %d", step.event, step.args, got, step.want)
		}
	}
	var again int64
	if b.Ask("add", 1, key{"k1"}).Bind(&again); again != 1 {
		t.Errorf("the result is %d", again)
	}
	if store.Len() != 4 {
		t.Errorf("%d keys", store.Len())
	}
}

// What fails, or panics, runs again.
func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	srv := newServer()
	calls := 0
	store := idempotency.New(nil)
	srv.On("try", idempotency.Reply(store, func(*sio.Ctx, struct{}) (int, error) {
		switch calls++; calls {
		case 1:
			return 0, &sio.Error{Message: "no"}
		case 2:
			panic("no")
		case 3:
			return 0, errors.New("no")
		}
		return calls, nil
	}))
	p := siotest.Connect(t, srv, "/", nil)
	for range 3 {
		if p.Ask("try", key{"k"}).Err() == nil {
			t.Error("no error")
		}
	}
	for range 2 {
		var n int
		if p.Ask("try", key{"k"}).Bind(&n); n != 4 {
			t.Error(n)
		}
	}
}

// An event that comes while the first one is being handled waits for its result.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	srv := newServer()
	var calls atomic.Int64
	begun, end := make(chan bool), make(chan bool)
	srv.On("slow", idempotency.Reply(idempotency.New(nil), func(*sio.Ctx, int) (int64, error) {
		begun <- true
		<-end
		return calls.Add(1), nil
	}))
	d := siotest.Pipes(t, srv)
	first := d.Connect(t, "/", nil).Ask("slow", 1, key{"k"})
	<-begun
	second := d.Connect(t, "/", nil).Ask("slow", 1, key{"k"})
	end <- true
	var a, b int64
	first.Bind(&a)
	second.Bind(&b)
	if a != 1 || b != 1 || calls.Load() != 1 {
		t.Error(a, b, calls.Load())
	}
}

func TestOwnersAndLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer()
		calls := 0
		store := idempotency.New(&idempotency.Options{
			TTL: time.Minute, MaxKeys: 2, Owner: func(c *sio.Ctx) string { return c.ID() },
		})
		srv.On("add", idempotency.Reply(store, func(*sio.Ctx, int) (int, error) { calls++; return calls, nil }))
		d := siotest.Pipes(t, srv)
		a, b := d.Connect(t, "/", nil), d.Connect(t, "/", nil)
		add := func(p *siotest.Peer, k string, want int) {
			t.Helper()
			if p.Ask("add", 1, key{k}).Bind(); calls != want {
				t.Errorf("%d calls, want %d", calls, want)
			}
		}
		add(a, "k", 1)
		add(b, "k", 2) // of another owner
		add(a, "k", 2)
		add(a, "l", 3) // the oldest one makes room
		add(a, "k", 4)
		if store.Len() > 2 {
			t.Errorf("%d keys", store.Len())
		}
		time.Sleep(2 * time.Minute)
		add(a, "k", 5)
		if store.Len() != 1 {
			t.Errorf("%d keys", store.Len())
		}
	})
}

// A key that is none is refused. Other objects are arguments.
func TestBadKeys(t *testing.T) {
	t.Parallel()
	srv := newServer()
	calls := 0
	srv.On("add", idempotency.Reply(idempotency.New(nil), func(*sio.Ctx, any) (int, error) { calls++; return calls, nil }))
	p := siotest.Connect(t, srv, "/", nil)
	for _, bad := range []any{"", 1, nil, string(make([]byte, 200))} {
		if p.Ask("add", 1, map[string]any{"idempotencyKey": bad}).Err() == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	if calls != 0 {
		t.Errorf("%d calls", calls)
	}
	for _, fine := range []any{map[string]any{"idempotencyKey": "k", "more": 1}, []any{}, "k", map[string]any{}} {
		p.Ask("add", 1, fine).Bind()
	}
	if calls != 4 {
		t.Errorf("%d calls", calls)
	}
}
