package sioclient_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
)

func TestSendBufferIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	for _, drop := range []bool{false, true} {
		s := newSocket(t, loopback(t, newServer(nil)), "/", sioclient.Options{MaxSendBuffer: limit, DropOldest: drop})
		first, err := sioclient.Ask[int](s, "echo", 1)
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		for range 100 {
			err := s.Emit("echo", strings.Repeat("x", 10_000))
			switch {
			case err == nil:
				kept++
			case !errors.Is(err, sioclient.ErrBufferFull):
				t.Fatal(err)
			}
		}
		if drop {
			if kept != 100 || s.Dropped() < 90 {
				t.Errorf("%d kept, %d dropped", kept, s.Dropped())
			}
			if _, err := first.Wait(within(t)); !errors.Is(err, sioclient.ErrDropped) {
				t.Error(err)
			}
		} else if kept < 5 || kept > 10 || s.Dropped() > 0 {
			t.Errorf("%d kept, %d dropped", kept, s.Dropped())
		}
	}
}

// With retries, the buffer has the same bound, and nothing is dropped.
func TestRetryBufferIsBounded(t *testing.T) {
	t.Parallel()
	s := newSocket(t, loopback(t, newServer(nil)), "/", sioclient.Options{MaxSendBuffer: 100_000, Retries: 1})
	kept := 0
	for range 100 {
		if s.Emit("echo", strings.Repeat("x", 10_000)) == nil {
			kept++
		}
	}
	if kept < 5 || kept > 10 {
		t.Errorf("%d kept", kept)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sioclient.EmitWithAck[int](ctx, s, "echo", 1); !errors.Is(err, sioclient.ErrAckTimeout) {
		t.Error(err)
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 7); v != 7 || err != nil {
		t.Error(v, err)
	}
}

// What handlers do wrong ends neither the connection nor the later events.
func TestHandlersThatFail(t *testing.T) {
	t.Parallel()
	srv := newServer(nil)
	d := loopback(t, srv)
	s := newSocket(t, d, "/", sioclient.Options{})
	s.OnAny(func(c *sioclient.Ctx) {
		if c.Event() == "panic" {
			panic("in OnAny")
		}
	})
	s.On("panic", func(*sioclient.Ctx) error { panic("in a handler") })
	s.On("error", sioclient.Reply(func(*sioclient.Ctx, struct{}) (int, error) {
		return 0, &sio.Error{Message: "no", Data: 1}
	}))
	s.On("unfit", sioclient.Bind(func(*sioclient.Ctx, int) error { return nil }))
	s.On("fine", sioclient.Reply(func(_ *sioclient.Ctx, n sio.Optional[int]) (int, error) { return n.Or(3), nil }))
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	server := srv.Socket(s.ID())
	for event, want := range map[string]string{
		"panic": `[{"error":{"message":"internal error"}}]`,
		"error": `[{"error":{"data":1,"message":"no"}}]`,
		"unfit": `[{"error":{"message":"invalid payload"}}]`,
		"fine":  `[3]`,
	} {
		args, err := server.EmitWithAck(within(t), event)
		if err != nil {
			t.Fatal(err)
		}
		values, err := args.Values()
		if got := asJSON(t, values); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", event, got, err, want)
		}
	}
}

func TestRegistrationsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	s, err := sioclient.New("http://localhost", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.On("a", func(*sioclient.Ctx) error { return nil })
	for name, f := range map[string]func(){
		"twice":    func() { s.On("a", func(*sioclient.Ctx) error { return nil }) },
		"reserved": func() { s.On("connect", func(*sioclient.Ctx) error { return nil }) },
		"nil":      func() { s.On("b", nil) },
		"Bind":     func() { sioclient.Bind[int](nil) },
		"Reply":    func() { sioclient.Reply[int, int](nil) },
		"chan":     func() { sioclient.Bind(func(*sioclient.Ctx, chan int) error { return nil }) },
		"OnAny":    func() { s.OnAny(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	s.Off("a")
	s.On("a", func(*sioclient.Ctx) error { return nil })
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]sioclient.Options{
		"negative": {Retries: -1},
		"jitter":   {RandomizationFactor: 1.5},
		"auth":     {Auth: 1, AuthFunc: func(context.Context) (any, error) { return nil, nil }},
	} {
		if _, err := sioclient.New("http://localhost", &o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An auth payload that is no object, or a function that fails, is an error of Connect.
func TestAuthThatFails(t *testing.T) {
	t.Parallel()
	errAuth := errors.New("no token")
	for name, o := range map[string]sioclient.Options{
		"no object": {Auth: "text"},
		"error":     {AuthFunc: func(context.Context) (any, error) { return nil, errAuth }},
		"panic":     {AuthFunc: func(context.Context) (any, error) { panic("in AuthFunc") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSocket(t, loopback(t, newServer(nil)), "/", o)
			if err := s.Connect(within(t)); err == nil || !strings.HasPrefix(err.Error(), "sioclient: auth: ") {
				t.Error(err)
			}
			if !s.Active() {
				t.Error("the client has given up")
			}
			o.DisableReconnection = true
			s = newSocket(t, loopback(t, newServer(nil)), "/", o)
			if err := s.Connect(within(t)); err == nil || s.Active() {
				t.Error(err, s.Active())
			}
		})
	}
}
