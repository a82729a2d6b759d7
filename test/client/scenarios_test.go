package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

// A way is how a client connects.
type way struct {
	name string
	o    sioclient.Options
}

func ways() []way {
	return []way{
		{"polling", sioclient.Options{Transports: []string{"polling"}}},
		{"websocket", sioclient.Options{Transports: []string{"websocket"}}},
		{"upgrade", sioclient.Options{Transports: []string{"polling", "websocket"}}},
	}
}

// A scenario is run with a server of its own.
type scenario struct {
	s   settings
	run func(t *testing.T, url string, o sioclient.Options)
}

// scenarios run over all transports, and against all servers.
func scenarios() map[string]scenario {
	return map[string]scenario{
		"events":                       {settings{}, events},
		"binary data at any depth":     {settings{}, binary},
		"acks CLI-EM-5 CLI-EM-7":       {settings{}, acks},
		"many events in order":         {settings{}, order},
		"large":                        {settings{}, large},
		"MessagePack":                  {settings{MsgPack: true}, messagePack},
		"namespaces CLI-MG-3 CLI-MG-6": {settings{}, namespaces},
		"auth CLI-RC-6":                {settings{}, auth},
		"URL and query CLI-URL-1 CLI-URL-2 CLI-TR-1": {settings{}, urls},
		"headers CLI-TR-2":                           {settings{}, headers},
		"io server disconnect CLI-EV-7":              {settings{}, serverDisconnects},
		"io client disconnect CLI-EV-7":              {settings{}, clientDisconnects},
		"forced close CLI-MG-4":                      {settings{}, managerDisconnects},
		"catch-all CLI-EM-2":                         {settings{}, catchAll},
		"buffered CLI-EM-1 CLI-EM-2":                 {settings{}, buffered},
		"volatile CLI-EM-3":                          {settings{}, volatile},
		"heartbeat":                                  {settings{PingInterval: 100, PingTimeout: 5000}, heartbeat},
		"retries CLI-EM-9 CLI-EM-12":                 {settings{}, retries},
		"ack timeout CLI-EM-4":                       {settings{}, ackTimeout},
		"order of connect CLI-EV-1":                  {settings{}, connectOrder},
		"maxPayload CLI-TR-3":                        {settings{MaxPayload: 2000}, maxPayload},
		"cookie":                                     {settings{Cookie: true}, cookie},
		"base64":                                     {settings{}, base64},
		"compression CLI-TR-12":                      {settings{Deflate: true}, compression},
		"recovery flag CLI-CSR-2 CLI-CSR-3":          {settings{Recovery: true}, offsets},
		"own disconnect forgets pid CLI-CSR-4":       {settings{Recovery: true}, forgets},
		"context":                                    {settings{}, contexts},
		"refused namespace of a second socket":       {settings{}, refused},
		"handler waits for an acknowledgement":       {settings{}, waitingHandler},
		"flush":                                      {settings{}, flush},
		"typed handlers, errors and acks":            {settings{}, typed},
		"several sockets connect at once":            {settings{}, several},
		"text of all kinds":                          {settings{}, texts},
		"disconnect of all namespaces CLI-EV-7":      {settings{}, leaveAll},
		"connect again after a disconnect CLI-7":     {settings{}, again},
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	for _, target := range targets() {
		t.Run(target.name, func(t *testing.T) {
			t.Parallel()
			for _, w := range ways() {
				t.Run(w.name, func(t *testing.T) {
					t.Parallel()
					all := scenarios()
					maps.Copy(all, moreScenarios())
					for name, s := range all {
						t.Run(name, func(t *testing.T) { s.run(t, target.start(t, s.s), w.o) })
					}
				})
			}
		})
	}
}

func events(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	hello, got := make(chan bool, 1), make(chan []any, 10)
	s.On("hello", sioclient.Bind(func(_ *sioclient.Ctx, recovered sio.Optional[bool]) error {
		hello <- recovered.Value
		return nil
	}))
	s.On("echo", func(c *sioclient.Ctx) error {
		v, err := c.Args().Values()
		got <- v
		return err
	})
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if s.ID() == "" || !s.Connected() || !s.Active() || s.Recovered() {
		t.Error("the state is not that of a connected socket")
	}
	wait(t, hello)
	want := []any{"é", 1.5, true, nil, map[string]any{"a": []any{float64(1)}}}
	if err := s.Emit("echo", want...); err != nil {
		t.Fatal(err)
	}
	if v := wait(t, got); !reflect.DeepEqual(v, want) {
		t.Errorf("%v, want %v", v, want)
	}
}

func binary(t *testing.T, url string, o sioclient.Options) {
	s := connect(t, url, o)
	type deep struct {
		Name string
		Data []byte
		List []map[string][]byte
	}
	want := deep{"n", bytes.Repeat([]byte{0, 255}, 5000), []map[string][]byte{{"k": {1}}, {"k": {}}}}
	got, err := sioclient.EmitWithAck[deep](within(t), s, "echo", want)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func acks(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	s.On("question", sioclient.Reply(func(_ *sioclient.Ctx, n int) (int, error) { return 2 * n, nil }))
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	args, err := s.EmitWithAck(within(t), "echo", 1, "two")
	var n int
	var text string
	if err == nil {
		err = args.Bind(&n, &text)
	}
	if err != nil || n != 1 || text != "two" {
		t.Error(n, text, err)
	}
	if args, err = s.EmitWithAck(within(t), "ask me"); err != nil {
		t.Fatal(err)
	}
	var ok bool
	if err := args.Bind(&n, &ok); err != nil || n != 40 || !ok {
		t.Error(n, ok, err)
	}
	if v, err := sioclient.EmitWithAck[int](within(t), s, "echo"); v != 0 || err != nil {
		t.Error(v, err)
	}
	_, err = sioclient.EmitWithAck[int](within(t), s, "fail")
	var e *sio.Error
	if !errors.As(err, &e) || e.Message != "sold out" || fmt.Sprint(e.Data) != "map[left:0]" {
		t.Error(err)
	}
	var answers []*sioclient.Answer[int]
	for i := range 20 {
		a, err := sioclient.Ask[int](s, "echo", i)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	for i, a := range answers {
		if v, err := a.Wait(within(t)); v != i || err != nil {
			t.Error(i, v, err)
		}
	}
}

func order(t *testing.T, url string, o sioclient.Options) {
	const n = 300
	s := newSocket(t, url, o)
	got := make(chan int, n)
	s.On("item", sioclient.Bind(func(_ *sioclient.Ctx, i int) error { got <- i; return nil }))
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("burst", n, 500); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := s.Emit("item", i, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if v := wait(t, got); v != i {
			t.Fatalf("item %d is %d", i, v)
		}
	}
	if v := items(t, s); !isSequence(v, n) {
		t.Errorf("the server got %v", v)
	}
}

func isSequence(v []int, n int) bool {
	for i, x := range v {
		if x != i {
			return false
		}
	}
	return len(v) == n
}

func large(t *testing.T, url string, o sioclient.Options) {
	s := connect(t, url, o)
	for _, n := range []int{125, 126, 65_535, 65_536, 500_000} {
		want := strings.Repeat("é", n/2)
		if got, err := sioclient.EmitWithAck[string](within(t), s, "echo", want); err != nil || got != want {
			t.Errorf("%d bytes: %d came back, %v", n, len(got), err)
		}
		data := bytes.Repeat([]byte{byte(n)}, n)
		if got, err := sioclient.EmitWithAck[[]byte](within(t), s, "echo", data); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of binary data: %d came back, %v", n, len(got), err)
		}
	}
}

func messagePack(t *testing.T, url string, o sioclient.Options) {
	o.Parser = msgpack.Parser{}
	s := connect(t, url, o)
	want := map[string]any{"a": []byte{1, 2}, "b": "text", "c": []any{float64(1), []byte("x")}}
	got, err := sioclient.EmitWithAck[map[string]any](within(t), s, "echo", want)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	s.Disconnect()
	if err := s.Connect(within(t)); err != nil {
		t.Error(err)
	}
}

func tell(o *sioclient.Options) *story {
	s := &story{make(chan string, 1000)}
	o.Hooks.Open = func() { s.c <- "M open" }
	o.Hooks.Close = func(r sioclient.Reason, _ error) { s.c <- "M close " + string(r) }
	o.Hooks.Error = func(error) { s.c <- "M error" }
	o.Hooks.ReconnectAttempt = func(n int) { s.c <- fmt.Sprintf("M reconnect_attempt %d", n) }
	o.Hooks.Reconnect = func(n int) { s.c <- fmt.Sprintf("M reconnect %d", n) }
	o.Hooks.ReconnectError = func(error) { s.c <- "M reconnect_error" }
	o.Hooks.ReconnectFailed = func() { s.c <- "M reconnect_failed" }
	return s
}

func (s *story) of(x *sioclient.Socket) {
	x.OnConnect(func(*sioclient.Socket) { s.c <- "S connect" })
	x.OnConnectError(func(*sioclient.Socket, error) { s.c <- "S connect_error" })
	x.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { s.c <- "S disconnect " + string(r) })
}

func (s *story) want(t *testing.T, parts ...string) {
	t.Helper()
	for i, want := range parts {
		if got := wait(t, s.c); got != want {
			t.Fatalf("part %d is %q, want %q", i, got, want)
		}
	}
}

func catchAll(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	in, unknown, out := make(chan string, 10), make(chan string, 10), make(chan string, 10)
	s.OnAny(func(c *sioclient.Ctx) { in <- c.Event() })
	s.OnUnknown(func(c *sioclient.Ctx) error { unknown <- c.Event(); return nil })
	s.OnAnyOutgoing(func(_ *sioclient.Socket, event string, args sio.Args) { out <- fmt.Sprint(event, args.Len()) })
	s.On("hello", func(*sioclient.Ctx) error { return nil })
	if err := s.Emit("echo", 1, 2); err != nil {
		t.Fatal(err)
	}
	if len(out) > 0 {
		t.Error("OnAnyOutgoing was called before the event was sent")
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := [...]string{wait(t, in), wait(t, in), wait(t, unknown), wait(t, out)}; got != [...]string{"hello", "echo", "echo", "echo2"} {
		t.Errorf("%q", got)
	}
}

func buffered(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	for i := range 20 {
		if err := s.Emit("item", i); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		if err := s.Emit(name); !errors.Is(err, sioclient.ErrReservedEvent) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := s.Emit("error"); err != nil {
		t.Error(err)
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := items(t, s); !isSequence(got, 20) {
		t.Error(got)
	}
}

func volatile(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	if err := s.EmitVolatile("item", 1); !errors.Is(err, sioclient.ErrNotReady) {
		t.Error(err)
	}
	dropped := make(chan error, 1)
	s.OnDisconnect(func(s *sioclient.Socket, _ sioclient.Reason) { dropped <- s.EmitVolatile("item", 2) })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); ctx.Err() == nil && s.EmitVolatile("item", 3) != nil; {
		if _, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); err != nil {
			t.Fatal(err)
		}
	}
	if got := items(t, s); !reflect.DeepEqual(got, []int{3}) {
		t.Error(got)
	}
	s.Manager().Disconnect()
	if err := wait(t, dropped); !errors.Is(err, sioclient.ErrNotReady) {
		t.Error(err)
	}
}

func heartbeat(t *testing.T, url string, o sioclient.Options) {
	pings := make(chan bool, 100)
	o.Hooks.Ping = func() { pings <- true }
	s := connect(t, url, o)
	for range 4 {
		wait(t, pings)
	}
	if !s.Connected() {
		t.Error("disconnected")
	}
}

func retries(t *testing.T, url string, o sioclient.Options) {
	o.Retries, o.AckTimeout = 2, 30*time.Millisecond
	o.IdempotencyKeys = true
	s := connect(t, url, o)
	if err := s.Emit("lost", 1); err != nil {
		t.Fatal(err)
	}
	a, err := sioclient.Ask[int](s, "lost", 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(within(t)); !errors.Is(err, sioclient.ErrAckTimeout) {
		t.Error(err)
	}
	for ctx := within(t); ctx.Err() == nil; {
		got, err := sioclient.EmitWithAck[[]int](ctx, s, "items")
		if err != nil {
			continue // the machine is too busy for this timeout
		}
		if !reflect.DeepEqual(got, []int{1, 1, 1, 2, 2, 2}) { // n + 1 tries, one event after the other
			t.Error(got)
		}
		break
	}
	if s.Dropped() != 1 {
		t.Errorf("%d events were given up without a caller", s.Dropped())
	}
}

func ackTimeout(t *testing.T, url string, o sioclient.Options) {
	o.AckTimeout = 50 * time.Millisecond
	s := newSocket(t, url, o)
	if _, err := sioclient.EmitWithAck[int](within(t), s, "item", 1); !errors.Is(err, sioclient.ErrAckTimeout) {
		t.Error(err)
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := sioclient.EmitWithAck[int](within(t), s, "lost", 2); !errors.Is(err, sioclient.ErrAckTimeout) {
		t.Error(err)
	}
	a, err := sioclient.Ask[[]int](s, "items")
	if err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); ctx.Err() == nil; {
		got, err := a.Wait(ctx)
		if err == nil {
			if !reflect.DeepEqual(got, []int{2}) { // the first one was taken out of the buffer
				t.Error(got)
			}
			break
		}
		if a, err = sioclient.Ask[[]int](s, "items"); err != nil {
			t.Fatal(err)
		}
	}
}

func maxPayload(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	for i := range 30 {
		if err := s.Emit("item", i, strings.Repeat("x", 300), bytes.Repeat([]byte{1}, 400)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := items(t, s); !isSequence(got, 30) {
		t.Error(got)
	}
}

func base64(t *testing.T, url string, o sioclient.Options) {
	o.ForceBase64 = true
	binary(t, url, o)
}

func compression(t *testing.T, url string, o sioclient.Options) {
	for _, d := range []*sio.PerMessageDeflate{
		{},
		{ServerContextTakeover: true, ClientContextTakeover: true},
		{ServerContextTakeover: true, ClientContextTakeover: true, ServerMaxWindowBits: 10, ClientMaxWindowBits: 9},
	} {
		o.PerMessageDeflate = d
		s := connect(t, url, o)
		for i := range 20 {
			want := strings.Repeat(fmt.Sprint("text ", i), 500)
			if got, err := sioclient.EmitWithAck[string](within(t), s, "echo", want); err != nil || got != want {
				t.Errorf("%+v: %d bytes came back, %v", d, len(got), err)
			}
		}
	}
}

func offsets(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	got := make(chan int, 10)
	s.On("news", func(c *sioclient.Ctx) error { got <- c.Len(); return nil })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("all", "news", 1, "two"); err != nil {
		t.Fatal(err)
	}
	if n := wait(t, got); n != 2 {
		t.Errorf("the handler got %d arguments", n)
	}
	for heard := false; !heard; { // a volatile event may not come, and has no offset
		if err := s.Emit("volatile to all", "news", 1, "two"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.EmitWithAck(within(t), "echo", 1); err != nil {
			t.Fatal(err)
		}
		select {
		case n := <-got:
			if heard = true; n != 2 {
				t.Errorf("the handler of a volatile event got %d arguments", n)
			}
		default:
		}
	}
	o.KeepOffset = true
	s = newSocket(t, url, o)
	s.On("news", func(c *sioclient.Ctx) error { got <- c.Len(); return nil })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("all", "news", 1, "two"); err != nil {
		t.Fatal(err)
	}
	for n := 0; n != 3; { // the other socket gets 2
		n = wait(t, got)
	}
}

func waitingHandler(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	got := make(chan int, 1)
	s.On("hello", func(c *sioclient.Ctx) error {
		v, err := sioclient.EmitWithAck[int](c.Context(), c.Socket, "echo", 5)
		got <- v
		return err
	})
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if v := wait(t, got); v != 5 {
		t.Error(v)
	}
}

func typed(t *testing.T, url string, o sioclient.Options) {
	failures := make(chan error, 10)
	o.OnError = func(_ *sioclient.Ctx, err error) { failures <- err }
	s := newSocket(t, url, o)
	s.On("echo", sioclient.Bind(func(_ *sioclient.Ctx, _ int) error { return nil }))
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("echo", "no number"); err != nil {
		t.Fatal(err)
	}
	var e *sio.Error
	if err := wait(t, failures); !errors.As(err, &e) || e.Message != "invalid payload" {
		t.Error(err)
	}
}

func texts(t *testing.T, url string, o sioclient.Options) {
	s := connect(t, url, o)
	for _, want := range []string{"", "\x00", "\x1e", "\"\\/\n\u2028", "\U0001f600", "é\x7f", strings.Repeat("\u20ac", 5000)} {
		if got, err := sioclient.EmitWithAck[string](within(t), s, "echo", want); err != nil || got != want {
			t.Errorf("%q became %q, %v", want, got, err)
		}
	}
}
