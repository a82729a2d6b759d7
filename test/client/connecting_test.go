package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
)

func namespaces(t *testing.T, url string, o sioclient.Options) {
	closed := make(chan sioclient.Reason, 2)
	o.Hooks.Close = func(r sioclient.Reason, _ error) { closed <- r }
	s := connect(t, url, o)
	other, err := s.Manager().Of("/other")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if s.ID() == other.ID() {
		t.Error("both sockets have the same id")
	}
	s.Disconnect()
	if v, err := sioclient.EmitWithAck[int](within(t), other, "echo", 1); v != 1 || err != nil {
		t.Error(v, err)
	}
	if len(closed) != 0 {
		t.Error("the connection was closed with a socket that was active")
	}
	other.Disconnect()
	if r := wait(t, closed); r != sioclient.ReasonForcedClose {
		t.Error(r)
	}
}

func auth(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url+"/auth", o)
	var e *sio.Error
	if err := s.Connect(within(t)); !errors.As(err, &e) || e.Message != "no entry" || e.Data != "try again" || s.Active() {
		t.Errorf("%v, active: %t", err, s.Active())
	}
	calls := 0
	s.SetAuthFunc(func(ctx context.Context) (any, error) {
		calls++
		return map[string]any{"token": "secret", "n": calls}, ctx.Err()
	})
	for i := range 2 {
		if err := s.Connect(within(t)); err != nil {
			t.Fatal(err)
		}
		h := handshake(t, s)
		if h.Auth["n"] != float64(i+1) {
			t.Errorf("call %d of AuthFunc gave %v", i, h.Auth)
		}
		s.Disconnect()
	}
}

type shake struct {
	Auth      map[string]any
	Query     map[string]string
	Headers   map[string]string
	URL       string
	Transport string
}

func handshake(t *testing.T, s *sioclient.Socket) shake {
	t.Helper()
	h, err := sioclient.EmitWithAck[shake](within(t), s, "handshake")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func urls(t *testing.T, url string, o sioclient.Options) {
	s := connect(t, "ws"+strings.TrimPrefix(url, "http")+"/other?x=1&y=two#fragment", o)
	if s.Namespace() != "/other" {
		t.Errorf("namespace %q", s.Namespace())
	}
	h := handshake(t, s)
	if h.Query["x"] != "1" || h.Query["y"] != "two" || h.Query["EIO"] != "4" {
		t.Errorf("query %v", h.Query)
	}
	if polls := o.Transports[0] == "polling"; polls != (h.Query["t"] != "") { // CLI-TR-1
		t.Errorf("query %v", h.Query)
	}
	o.Query = map[string][]string{"z": {"3"}}
	if h := handshake(t, connect(t, url+"?x=1", o)); h.Query["x"] != "" || h.Query["z"] != "3" {
		t.Errorf("query %v", h.Query)
	}
}

func headers(t *testing.T, url string, o sioclient.Options) {
	o.ExtraHeaders = http.Header{"X-Test": {"yes"}}
	if h := handshake(t, connect(t, url, o)); h.Headers["x-test"] != "yes" {
		t.Errorf("headers %v", h.Headers)
	}
}

// story collects what happens, in order.
type story struct{ c chan string }

func connectOrder(t *testing.T, url string, o sioclient.Options) {
	story := tell(&o)
	s := newSocket(t, url, o)
	story.of(s)
	s.Open()
	story.want(t, "M open", "S connect")
}

func serverDisconnects(t *testing.T, url string, o sioclient.Options) {
	story := tell(&o)
	s := newSocket(t, url, o)
	story.of(s)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("leave"); err != nil {
		t.Fatal(err)
	}
	story.want(t, "M open", "S connect", "M close forced close", "S disconnect io server disconnect")
	if s.Active() {
		t.Error("the socket is active")
	}
}

func leaveAll(t *testing.T, url string, o sioclient.Options) {
	story := tell(&o)
	s := newSocket(t, url, o)
	story.of(s)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("leave all"); err != nil {
		t.Fatal(err)
	}
	story.want(t, "M open", "S connect", "M close forced close", "S disconnect io server disconnect")
}

func clientDisconnects(t *testing.T, url string, o sioclient.Options) {
	story := tell(&o)
	s := newSocket(t, url, o)
	story.of(s)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	ctx := s.Context()
	s.Disconnect()
	s.Disconnect()
	story.want(t, "M open", "S connect", "M close forced close", "S disconnect io client disconnect")
	if s.Active() || s.Connected() || s.ID() != "" || ctx.Err() == nil {
		t.Error("the socket is not disconnected")
	}
}

func managerDisconnects(t *testing.T, url string, o sioclient.Options) {
	story := tell(&o)
	s := newSocket(t, url, o)
	story.of(s)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	s.Manager().Disconnect()
	story.want(t, "M open", "S connect", "S disconnect forced close", "M close forced close")
	if !s.Active() {
		t.Error("the socket is not active")
	}
	if err := s.Connect(within(t)); err != nil {
		t.Error(err)
	}
}

func again(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	ids := map[string]bool{}
	for range 3 {
		if err := s.Connect(within(t)); err != nil {
			t.Fatal(err)
		}
		if err := s.Connect(within(t)); err != nil { // it is connected
			t.Fatal(err)
		}
		ids[s.ID()] = true
		s.Disconnect()
	}
	if len(ids) != 3 {
		t.Errorf("ids %v", ids)
	}
}

func cookie(t *testing.T, url string, o sioclient.Options) {
	for _, keep := range []bool{false, true} {
		o.WithCredentials = keep
		story := tell(&o)
		s := connect(t, url, o)
		_ = story
		s.Manager().Disconnect()
		if err := s.Connect(within(t)); err != nil {
			t.Fatal(err)
		}
		has := strings.Contains(handshake(t, s).Headers["cookie"], "io=")
		if want := keep && o.Transports[0] == "polling"; has != want {
			t.Errorf("WithCredentials %t: the cookie was sent: %t", keep, has)
		}
	}
}

func forgets(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	got := make(chan bool, 10)
	s.On("news", func(*sioclient.Ctx) error { got <- true; return nil })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("all", "news"); err != nil {
		t.Fatal(err)
	}
	wait(t, got)
	s.Disconnect()
	if err := s.Connect(within(t)); err != nil || s.Recovered() {
		t.Errorf("%v, recovered: %t", err, s.Recovered())
	}
}

func contexts(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Connect(ctx); !errors.Is(err, context.Canceled) || s.Active() {
		t.Errorf("%v, active: %t", err, s.Active())
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	done := s.Context()
	if done.Err() != nil {
		t.Error("the context of a connected socket has ended")
	}
	s.Disconnect()
	var why *sioclient.DisconnectError
	if !errors.As(context.Cause(done), &why) || why.Reason != sioclient.ReasonClientDisconnect || !errors.Is(why, sioclient.ErrDisconnected) {
		t.Error(context.Cause(done))
	}
}

func refused(t *testing.T, url string, o sioclient.Options) {
	s := connect(t, url, o)
	none, err := s.Manager().Of("/none")
	if err != nil {
		t.Fatal(err)
	}
	var e *sio.Error
	if err := none.Connect(within(t)); !errors.As(err, &e) || e.Message != "Invalid namespace" || none.Active() {
		t.Error(err)
	}
	if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); v != 1 || err != nil {
		t.Error(v, err)
	}
}

func flush(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	if err := s.Flush(within(t)); !errors.Is(err, sioclient.ErrDisconnected) {
		t.Error(err)
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := s.Emit("item", i, strings.Repeat("x", 50_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(within(t)); err != nil {
		t.Error(err)
	}
}

func several(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	other, err := s.Manager().Of("/other")
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 10)
	for range 5 {
		go func() { results <- s.Connect(t.Context()) }()
		go func() { results <- other.Connect(t.Context()) }()
	}
	for range 10 {
		if err := wait(t, results); err != nil {
			t.Error(err)
		}
	}
}
