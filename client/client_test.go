package sioclient_test

import (
	"bytes"
	"net/http"
	"reflect"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
	"github.com/sioplug/sioplug/core/siotest"
)

// Events go over loopback, over TLS, and over the network in memory of siotest.
func TestEvents(t *testing.T) {
	t.Parallel()
	for network, serve := range map[string]func(testing.TB, http.Handler) siotest.Dialer{
		"loopback": siotest.Loopback, "TLS": siotest.LoopbackTLS, "memory": siotest.Pipes,
	} {
		for name, o := range ways() {
			t.Run(network+" "+name, func(t *testing.T) {
				t.Parallel()
				exchangeEvents(t, serve(t, newServer(nil)), o)
			})
		}
	}
}

func exchangeEvents(t *testing.T, d siotest.Dialer, o sioclient.Options) {
	t.Helper()
	s := newSocket(t, d, "/", o)
	got := make(chan []any, 10)
	s.On("echo", func(c *sioclient.Ctx) error {
		v, err := c.Args().Values()
		got <- v
		return err
	})
	s.On("question", sioclient.Reply(func(_ *sioclient.Ctx, n int) (int, error) { return 2 * n, nil }))
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if s.ID() == "" || !s.Connected() || !s.Active() {
		t.Error("not connected")
	}
	for i := range 5 {
		if err := s.Emit("echo", i, "text", []byte{1, byte(i)}, map[string]any{"a": []byte("b")}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		want := []any{float64(i), "text", []byte{1, byte(i)}, map[string]any{"a": []byte("b")}}
		if v := wait(t, got); !reflect.DeepEqual(v, want) {
			t.Errorf("%v, want %v", v, want)
		}
	}
	n := note{Text: "é", Image: bytes.Repeat([]byte{7}, 100_000), More: []note{{Image: []byte{}}}}
	back, err := sioclient.EmitWithAck[note](within(t), s, "note", n)
	if err != nil || !reflect.DeepEqual(back, n) {
		t.Errorf("%v, %v", len(back.Image), err)
	}
	args, err := s.EmitWithAck(within(t), "ask me")
	var v int
	var ok bool
	if err == nil {
		err = args.Bind(&v, &ok)
	}
	if err != nil || v != 40 || !ok {
		t.Errorf("the answer of the client is %d, %t, %v", v, ok, err)
	}
	_, err = sioclient.EmitWithAck[int](within(t), s, "fail")
	if e := asServerError(t, err); e.Message != "sold out" || asJSON(t, e.Data) != `{"left":0}` {
		t.Errorf("%v %v", e, e.Data)
	}
}

func TestNamespacesAndAuth(t *testing.T) {
	t.Parallel()
	for name, o := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := loopback(t, newServer(nil))
			s := connect(t, d, "/", o)
			a, err := s.Manager().Of("auth")
			if err != nil {
				t.Fatal(err)
			}
			if e := asServerError(t, a.Connect(within(t))); e.Message != "no entry" || e.Data != "try again" || a.Active() {
				t.Errorf("%v %v", e, e.Data)
			}
			a.SetAuth(map[string]string{"Token": "secret"})
			if err := a.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			if e := asServerError(t, connectTo(t, s, "/none")); e.Message != "Invalid namespace" {
				t.Error(e)
			}
			s.Disconnect()
			if !a.Connected() || s.Connected() || s.Active() {
				t.Error("the other namespace is not connected any more")
			}
			if err := s.Connect(within(t)); err != nil {
				t.Error(err)
			}
			if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 7); v != 7 || err != nil {
				t.Error(v, err)
			}
		})
	}
}

func connectTo(t *testing.T, s *sioclient.Socket, namespace string) error {
	t.Helper()
	o, err := s.Manager().Of(namespace)
	if err != nil {
		t.Fatal(err)
	}
	return o.Connect(within(t))
}

func TestServerDisconnects(t *testing.T) {
	t.Parallel()
	for name, o := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSocket(t, loopback(t, newServer(nil)), "/", o)
			reasons := make(chan sioclient.Reason, 1)
			s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { reasons <- r })
			if err := s.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			if err := s.Emit("leave"); err != nil {
				t.Fatal(err)
			}
			if r := wait(t, reasons); r != sioclient.ReasonServerDisconnect || s.Active() {
				t.Errorf("%q, active: %t", r, s.Active())
			}
			if err := s.Connect(within(t)); err != nil {
				t.Error(err)
			}
		})
	}
}
