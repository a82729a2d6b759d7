package sioclient

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A process that was suspended, with its machine for example, may emit before its timers
// have noticed. The connection is dead then: the event waits for the next one.
func TestCLI_EM_8_SuspendedProcess(t *testing.T) {
	t.Parallel()
	for name, transports := range map[string][]string{
		"websocket": {WebSocket}, "polling": {Polling}, "upgrade": {Polling, WebSocket},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { suspended(t, transports) })
		})
	}
}

func suspended(t *testing.T, transports []string) {
	t.Helper()
	srv := sio.New(nil)
	var mu sync.Mutex
	var items []int
	srv.On("item", sio.Bind(func(_ *sio.Ctx, i int) error {
		mu.Lock()
		defer mu.Unlock()
		items = append(items, i)
		return nil
	}))
	d := siotest.Pipes(t, srv)
	s, err := New(d.At("/").URL, &Options{DialContext: d.Dial, Transports: transports})
	if err != nil {
		t.Fatal(err)
	}
	var slept atomic.Int64
	s.m.cfg.Now = func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
	lost := make(chan Reason, 1)
	s.OnDisconnect(func(_ *Socket, r Reason) { lost <- r })
	if err := s.Connect(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("item", 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // an upgrade has ended as well

	slept.Store(int64(time.Hour))
	if err := s.EmitVolatile("item", -1); !errors.Is(err, ErrNotReady) {
		t.Errorf("a volatile event: %v", err)
	}
	for i := range 3 {
		if err := s.Emit("item", i+1); err != nil {
			t.Error(err)
		}
	}
	if r := <-lost; r != ReasonPingTimeout {
		t.Errorf("reason %q", r)
	}
	if err := s.Connect(context.Background()); err != nil { // waits for the next attempt
		t.Fatal(err)
	}
	if err := s.m.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Minute)
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(items, []int{0, 1, 2, 3}) {
		t.Errorf("the server got %v", items)
	}
}
