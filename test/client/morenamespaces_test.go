package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

func rooms(t *testing.T, url string, o sioclient.Options) {
	got := make(chan string, 100)
	var all []*sioclient.Socket
	for i := range 3 {
		s := newSocket(t, url, o)
		s.On("news", func(c *sioclient.Ctx) error {
			var text string
			var data []byte
			err := c.Bind(&text, &data)
			got <- fmt.Sprintf("%d%s%v", i, text, data)
			return err
		})
		if err := s.Connect(within(t)); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	for _, s := range all[:2] {
		if _, err := s.EmitWithAck(within(t), "join", "r"); err != nil {
			t.Fatal(err)
		}
	}
	if err := all[2].Emit("to room", "r", "news", "é", []byte{1, 2}); err != nil {
		t.Fatal(err)
	}
	parts := []string{wait(t, got), wait(t, got)}
	slices.Sort(parts)
	if want := []string{"0é[1 2]", "1é[1 2]"}; !slices.Equal(parts, want) {
		t.Errorf("%q, want %q", parts, want)
	}
	for _, s := range all { // whatever else was sent has come
		if _, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) > 0 {
		t.Errorf("one more: %q", <-got)
	}
}

func broadcastsInOrder(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	got := make(chan int, 1000)
	receive := sioclient.Bind(func(_ *sioclient.Ctx, i int) error { got <- i; return nil })
	s.On("echo", receive)
	s.On("all", receive)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		var err error
		if i%2 == 0 {
			err = s.Emit("echo", i, []byte{1})
		} else {
			err = s.Emit("all", "all", i, []byte{1})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		if v := wait(t, got); v != i {
			t.Fatalf("event %d is %d", i, v)
		}
	}
}

func survey(t *testing.T, url string, o sioclient.Options) {
	var last *sioclient.Socket
	for i := range 3 {
		s := newSocket(t, url, o)
		s.On("question", sioclient.Reply(func(_ *sioclient.Ctx, p []byte) ([]byte, error) { return append(p, byte(i)), nil }))
		if err := s.Connect(within(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.EmitWithAck(within(t), "join", "r"); err != nil {
			t.Fatal(err)
		}
		last = s
	}
	answers, err := sioclient.EmitWithAck[[][]byte](within(t), last, "survey", "r", []byte{9})
	slices.SortFunc(answers, bytes.Compare)
	if want := [][]byte{{9, 0}, {9, 1}, {9, 2}}; err != nil || !reflect.DeepEqual(answers, want) {
		t.Errorf("%v, %v", answers, err)
	}
}

func tenNamespaces(t *testing.T, url string, o sioclient.Options) {
	s := connect(t, url, o)
	ids := map[string]bool{s.ID(): true}
	for range 2 { // each can be left and joined again
		var all []*sioclient.Socket
		for i := range 10 {
			n, err := s.Manager().Of(fmt.Sprint("/n", i))
			if err != nil {
				t.Fatal(err)
			}
			n.Open()
			all = append(all, n)
		}
		for i, n := range all {
			if err := n.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			if v, err := sioclient.EmitWithAck[int](within(t), n, "echo", i); v != i || err != nil {
				t.Error(v, err)
			}
			ids[n.ID()] = true
			n.Disconnect()
		}
		// The official server closes a connection on which a leave and the next CONNECT
		// arrive together.
		if _, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(ids) != 21 || !s.Connected() {
		t.Errorf("%d ids", len(ids))
	}
}

func twoNamespaces(t *testing.T, url string, o sioclient.Options) {
	a := connect(t, url, o)
	b, err := a.Manager().Of("/other")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := []*sioclient.Socket{a, b}[i%2].Emit("item", i); err != nil {
			t.Fatal(err)
		}
	}
	if v := items(t, a); !isSequence(v, 100) && !isSequence(items(t, b), 100) {
		t.Errorf("the server got %v", v)
	}
}

func lateDecisions(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url+"/late", o)
	if err := s.Emit("item", 0); err != nil {
		t.Fatal(err)
	}
	var e *sio.Error
	if err := s.Connect(within(t)); !errors.As(err, &e) || e.Message != "no entry, after all" || s.Active() {
		t.Error(err)
	}
	s.SetAuth(map[string]string{"token": "secret"})
	s.Open()
	if err := s.Emit("item", 1); err != nil {
		t.Fatal(err)
	}
	if got := items(t, s); !isSequence(got, 2) {
		t.Error(got)
	}
}

func bareRefusal(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url+"/bare", o)
	var e *sio.Error
	if err := s.Connect(within(t)); !errors.As(err, &e) || e.Message != "no" || e.Data != nil {
		t.Error(err)
	}
}

func badAuth(t *testing.T, url string, o sioclient.Options) {
	o.DisableReconnection = true
	for _, auth := range []any{"text", 1, []int{1}, make(chan int), func() {}} {
		s := newSocket(t, url, o)
		s.SetAuth(auth)
		if err := s.Connect(within(t)); err == nil || !strings.HasPrefix(err.Error(), "sioclient: auth: ") || s.Active() {
			t.Errorf("%T: %v", auth, err)
		}
	}
	s := newSocket(t, url, o)
	s.SetAuthFunc(func(context.Context) (any, error) { panic("no") })
	if err := s.Connect(within(t)); err == nil {
		t.Error("no error")
	}
	s.SetAuthFunc(func(context.Context) (any, error) { return nil, nil })
	if err := s.Connect(within(t)); err != nil {
		t.Error(err)
	}
}

func goodbye(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	got, left := make(chan int, 100), make(chan sioclient.Reason, 1)
	s.On("item", sioclient.Bind(func(_ *sioclient.Ctx, i int) error { got <- i; return nil }))
	s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { left <- r })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	if err := s.Emit("goodbye"); err != nil {
		t.Fatal(err)
	}
	if r := wait(t, left); r != sioclient.ReasonServerDisconnect || s.Active() {
		t.Error(r)
	}
	for i := range 20 {
		if v := wait(t, got); v != i {
			t.Errorf("%d, want %d", v, i)
		}
	}
}

func manyClients(t *testing.T, url string, o sioclient.Options) {
	o.HTTPClient, _ = sharedClient(t)
	var all []*sioclient.Socket
	for range 20 {
		all = append(all, connect(t, url, o))
	}
	for i, s := range all {
		settle(t, s, o)
		if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", i); v != i || err != nil {
			t.Error(v, err)
		}
	}
}

func wrongParser(t *testing.T, url string, o sioclient.Options) {
	o.DisableReconnection = true
	s := newSocket(t, url, o)
	if err := s.Connect(within(t)); err == nil {
		t.Error("no error")
	}
	o.Parser = msgpack.Parser{}
	if v, err := sioclient.EmitWithAck[int](within(t), connect(t, url, o), "echo", 1); v != 1 || err != nil {
		t.Error(v, err)
	}
}
