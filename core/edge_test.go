package sio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// These tests have code of the application fail everywhere, in every way: the
// process lives, the socket goes on or ends in full, and Shutdown returns.

// A bomb is code of the application that fails when it is armed. With once, the first
// failure is the only one.
type bomb struct {
	fail  func()
	armed atomic.Bool
	once  bool
	times atomic.Int32
}

func (b *bomb) call() {
	if b.armed.Load() {
		if b.once {
			b.armed.Store(false)
		}
		b.times.Add(1)
		b.fail()
	}
}

// MarshalJSON implements [json.Marshaler].
func (b *bomb) MarshalJSON() ([]byte, error) { b.call(); return []byte(`{}`), nil }

// UnmarshalJSON implements [json.Unmarshaler].
func (b *bomb) UnmarshalJSON([]byte) error { b.call(); return nil }

// An unreadableError cannot even be printed.
type unreadableError struct{}

func (v unreadableError) Error() string { panic(v) }

// An exitingText ends the goroutine that prints it.
type exitingText struct{}

func (exitingText) String() string { runtime.Goexit(); return "" }

// ways are the ways in which a function can fail to return.
func ways() map[string]func() {
	return map[string]func(){
		"panic":                      func() { panic("broken") },
		"panic that nobody can read": func() { panic(unreadableError{}) },
		"panic that ends its reader": func() { panic(exitingText{}) },
		"panic with nothing":         func() { panic(nil) },
		"goexit":                     runtime.Goexit,
	}
}

// A badError has methods that fail.
type badError struct{ *bomb }

func (e badError) Error() string        { e.call(); return "bad error" }
func (e badError) Is(error) bool        { e.call(); return false }
func (e badError) As(any) bool          { e.call(); return false }
func (e badError) Unwrap() error        { e.call(); return nil }
func (e badError) String() string       { e.call(); return "" }
func (e badError) LogValue() slog.Value { e.call(); return slog.Value{} }

// A place is where code of the application is called.
type place struct {
	opts     func(o *sio.Options, b *bomb)
	register func(srv *sio.Server, b *bomb)
	early    bool // the bomb is armed before the client comes, which may be refused then
	act      []string
	answer   []string // to act
}

const (
	failedAck = `431[{"error":{"message":"internal error"}}]`
	refused   = `44{"message":"internal error"}`
)

func eventPlaces() map[string]place {
	event := []string{`421["event",{}]`}
	on := func(h func(b *bomb, c *sio.Ctx) error) func(*sio.Server, *bomb) {
		return func(srv *sio.Server, b *bomb) { srv.On("event", func(c *sio.Ctx) error { return h(b, c) }) }
	}
	breaks := func(b *bomb) sio.Middleware { return sio.Guard(func(*sio.Ctx) error { b.call(); return nil }) }
	return map[string]place{
		"handler": {register: on(func(b *bomb, _ *sio.Ctx) error { b.call(); return nil }), act: event, answer: []string{failedAck}},
		"reply": {register: func(srv *sio.Server, b *bomb) {
			srv.On("event", sio.Reply(func(*sio.Ctx, struct{}) (*bomb, error) { return b, nil }))
		}, act: event, answer: []string{failedAck}},
		"argument": {register: on(func(b *bomb, c *sio.Ctx) error { return c.Bind(b) }), act: event, answer: []string{failedAck}},
		"emit":     {register: on(func(b *bomb, c *sio.Ctx) error { return c.Emit("x", b) }), act: event, answer: []string{failedAck}},
		"broadcast with binary": {register: on(func(b *bomb, c *sio.Ctx) error {
			return c.Namespace().Emit("x", map[string]any{"bin": []byte("x"), "v": b})
		}), act: event, answer: []string{failedAck}},
		"error data": {register: on(func(b *bomb, _ *sio.Ctx) error { return &sio.Error{Message: "no", Data: b} }), act: event, answer: []string{failedAck}},
		"error":      {register: on(func(b *bomb, _ *sio.Ctx) error { return badError{b} }), act: event, answer: []string{failedAck}},
		"wrapped":    {register: on(func(b *bomb, _ *sio.Ctx) error { return fmt.Errorf("wrapped: %w", error(badError{b})) }), act: event, answer: []string{failedAck}},
		"cause":      {register: on(func(b *bomb, _ *sio.Ctx) error { return &sio.Error{Message: "no", Err: badError{b}} }), act: event, answer: []string{`431[{"error":{"message":"no"}}]`}},
		"own mw":     {register: func(srv *sio.Server, b *bomb) { srv.On("event", func(*sio.Ctx) error { return nil }, breaks(b)) }, act: event, answer: []string{failedAck}},
		"UseEvents":  {register: func(srv *sio.Server, b *bomb) { srv.UseEvents(breaks(b)) }, act: event, answer: []string{failedAck}},
		"OnUnknown":  {register: func(srv *sio.Server, b *bomb) { srv.OnUnknown(func(*sio.Ctx) error { b.call(); return nil }) }, act: event, answer: []string{failedAck}},
		"OnAny":      {register: func(srv *sio.Server, b *bomb) { srv.OnAny(func(*sio.Ctx) { b.call() }) }, act: event, answer: []string{failedAck}},
		"OnAnyOutgoing": {register: func(srv *sio.Server, b *bomb) {
			srv.OnAnyOutgoing(func(*sio.Socket, string, sio.Args) { b.call() })
			srv.On("event", func(c *sio.Ctx) error { return errors.Join(c.Emit("x"), srv.Emit("y"), c.Ack()) })
		}, act: event, answer: []string{`42["x"]`, `42["y"]`, `431[]`}},
		"OnError": {
			opts:     func(o *sio.Options, b *bomb) { o.OnError = func(*sio.Ctx, error) { b.call() } },
			register: on(func(*bomb, *sio.Ctx) error { return errors.New("no") }), act: event,
		},
		"OnRoom": {register: func(srv *sio.Server, b *bomb) {
			srv.OnRoom(func(sio.RoomEvent) { b.call() })
			srv.On("event", func(c *sio.Ctx) error { return errors.Join(c.Join("a", "b"), c.Leave("a"), c.Ack()) })
		}, act: event, answer: []string{"431[]"}},
		"JSON.Marshal": {
			opts:     func(o *sio.Options, b *bomb) { o.JSON = badCodec{b} },
			register: on(func(_ *bomb, c *sio.Ctx) error { return c.Ack(struct{}{}) }), act: event, answer: []string{failedAck},
		},
		"JSON.Unmarshal": {
			opts:     func(o *sio.Options, b *bomb) { o.JSON = badCodec{b} },
			register: on(func(_ *bomb, c *sio.Ctx) error { return c.Bind(new(struct{})) }), act: event, answer: []string{failedAck},
		},
		"Logger": {
			opts:     func(o *sio.Options, b *bomb) { o.Logger = slog.New(badLog{bomb: b}) },
			register: on(func(*bomb, *sio.Ctx) error { return errors.New("no") }), act: event, answer: []string{failedAck},
		},
		"log levels": {
			opts:     func(o *sio.Options, b *bomb) { o.Logger = slog.New(badLog{levels: b}) },
			register: on(func(*bomb, *sio.Ctx) error { return errors.New("no") }), act: event, answer: []string{failedAck},
		},
		"Fetch": {register: func(srv *sio.Server, b *bomb) {
			key := sio.NewDataKey[*bomb]("bomb")
			srv.On("event", func(c *sio.Ctx) error {
				key.Set(c.Socket, b)
				all, err := srv.Broadcast().Fetch(c.Context())
				return errors.Join(err, c.Ack(len(all)))
			})
		}, act: event, answer: []string{"431[0]"}},
	}
}

// badCodec is a codec that fails.
type badCodec struct{ *bomb }

func (c badCodec) Marshal(any) ([]byte, error) { c.call(); return []byte("{}"), nil }
func (c badCodec) Unmarshal([]byte, any) error { c.call(); return nil }

// badLog is a handler that fails: in all of its methods.
type badLog struct{ bomb, levels *bomb }

func (l badLog) Enabled(context.Context, slog.Level) bool {
	if l.levels != nil {
		l.levels.call()
	}
	return true
}

func (l badLog) Handle(context.Context, slog.Record) error {
	if l.bomb != nil {
		l.bomb.call()
	}
	return nil
}

func (l badLog) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l badLog) WithGroup(string) slog.Handler      { return l }

// TestEventsSurviveTheApplication: whatever fails while an event is handled, the
// event fails, and nothing else.
func TestEventsSurviveTheApplication(t *testing.T) {
	for name, p := range eventPlaces() {
		for way, fail := range ways() {
			for transport, open := range transports() {
				t.Run(name+"/"+way+"/"+transport, func(t *testing.T) { p.run(t, &bomb{fail: fail}, open) })
			}
		}
	}
}

func connectPlaces() map[string]place {
	breaks := func(b *bomb) sio.Handler { return func(*sio.Ctx) error { b.call(); return nil } }
	return map[string]place{
		"UseConnect": {register: func(srv *sio.Server, b *bomb) { srv.UseConnect(sio.Guard(breaks(b))) }, answer: []string{refused}},
		"error data": {register: func(srv *sio.Server, b *bomb) {
			srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
				if b.armed.Load() {
					return &sio.Error{Message: "no", Data: b}
				}
				return nil
			}))
		}, answer: []string{refused}},
		"error": {register: func(srv *sio.Server, b *bomb) {
			srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
				if b.armed.Load() {
					return badError{b}
				}
				return nil
			}))
		}, answer: []string{refused}},
		"payload": {register: func(srv *sio.Server, b *bomb) {
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { return c.Bind(b) }))
		}, answer: []string{refused}},
		"OnConnect": {register: func(srv *sio.Server, b *bomb) { srv.OnConnect(breaks(b)) }, answer: []string{`40{"sid":"*"}`, "41"}},
		"OnAccept": {register: func(srv *sio.Server, b *bomb) {
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { c.OnAccept(breaks(b)); return nil }))
		}, answer: []string{`40{"sid":"*"}`, "41"}},
	}
}

// TestConnectingSurvivesTheApplication: whatever fails while a client connects, it is
// refused or disconnected, and may try again.
func TestConnectingSurvivesTheApplication(t *testing.T) {
	for name, p := range connectPlaces() {
		p.early = true
		for way, fail := range ways() {
			for transport, open := range transports() {
				t.Run(name+"/"+way+"/"+transport, func(t *testing.T) { p.run(t, &bomb{fail: fail}, open) })
			}
		}
	}
}

func endPlaces() map[string]place {
	return map[string]place{
		"OnDisconnect": {register: func(srv *sio.Server, b *bomb) {
			srv.OnDisconnect(func(*sio.Socket, sio.Reason) { b.call() })
		}},
		"OnEnd": {register: func(srv *sio.Server, b *bomb) {
			srv.OnConnect(func(c *sio.Ctx) error { c.OnEnd(b.call); return nil })
		}},
		"data": {
			opts: func(o *sio.Options, _ *bomb) { o.ConnectionStateRecovery = &sio.Recovery{} },
			register: func(srv *sio.Server, b *bomb) {
				key := sio.NewDataKey[*bomb]("bomb")
				srv.OnConnect(func(c *sio.Ctx) error { key.Set(c.Socket, b); return nil })
			},
		},
		"OnRoom": {register: func(srv *sio.Server, b *bomb) { srv.OnRoom(func(sio.RoomEvent) { b.call() }) }},
	}
}

// TestEndsSurviveTheApplication: whatever fails when a socket ends, it ends in full.
func TestEndsSurviveTheApplication(t *testing.T) {
	for name, p := range endPlaces() {
		for way, fail := range ways() {
			t.Run(name+"/"+way, func(t *testing.T) {
				p.run(t, &bomb{fail: fail}, func(tb testing.TB, d siotest.Dialer) *siotest.Client { tb.Helper(); return d.WebSocket(tb) })
			})
		}
	}
}

// run has the bomb go off in its place, and shows that the server is as it was.
func (p place) run(t *testing.T, b *bomb, open func(testing.TB, siotest.Dialer) *siotest.Client) {
	opts := &sio.Options{Logger: slog.New(new(logbook)), MaxNamespaces: 2}
	if p.opts != nil {
		p.opts(opts, b)
	}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var ends atomic.Int32
		accepted := int32(1)
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join("room") })
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { ends.Add(1) })
		p.register(srv, b)
		srv.On("after", func(c *sio.Ctx) error { return c.Ack("ok") })
		b.armed.Store(p.early)
		c := open(t, d)
		c.Send("40{}")
		if p.early {
			wantLike(t, c, p.answer...)
			synctest.Wait()
			b.armed.Store(false)
			if len(p.answer) == 1 {
				accepted = 0
			}
			c.Send("40{}") // a second attempt on the same connection
			accepted++
		}
		wantLike(t, c, `40{"sid":"*"}`)
		if !p.early {
			b.armed.Store(true)
			if p.act != nil {
				c.Send(p.act...)
			}
			wantLike(t, c, p.answer...)
			synctest.Wait()
		}
		if p.act != nil {
			b.armed.Store(false)
		}
		c.Send(`427["after"]`)
		c.Want(`437["ok"]`)
		c.Abort()
		synctest.Wait()
		if b.times.Load() == 0 {
			t.Error("nothing has failed")
		}
		b.armed.Store(false)
		if n := ends.Load(); n != accepted {
			t.Errorf("%d calls of OnDisconnect for %d sockets", n, accepted)
		}
		if rooms := srv.Rooms(); len(rooms) > 0 || srv.ClientsCount() > 0 {
			t.Errorf("left behind: rooms %q, %d clients", rooms, srv.ClientsCount())
		}
		siotest.Connect(t, srv, "/", nil).Disconnect()
	})
}

// wantLike waits for packets, in which a * stands for an id.
func wantLike(t *testing.T, c *siotest.Client, packets ...string) {
	t.Helper()
	for _, want := range packets {
		got := c.Next()
		head, tail, _ := strings.Cut(want, "*")
		like := strings.Contains(want, "*") && strings.HasPrefix(got, head) && strings.HasSuffix(got, tail)
		if got != want && !like {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// TestGoexitInOneNamespaceOfTwo: what came in the same read for another namespace of
// the client, and for the same one, is handled.
func TestGoexitInOneNamespaceOfTwo(t *testing.T) {
	for transport, open := range transports() {
		t.Run(transport, func(t *testing.T) {
			bubble(t, &sio.Options{Logger: slog.New(new(logbook))}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s story
				for _, n := range []*sio.Namespace{srv.Namespace, srv.Of("/a")} {
					n.On("exit", func(*sio.Ctx) error { runtime.Goexit(); return nil })
					n.On("next", func(c *sio.Ctx) error { return c.Ack(n.Name()) })
					n.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("one has left") })
				}
				c := open(t, d)
				c.Connect("/", "")
				c.Connect("/a", "")
				for range 3 {
					c.Send(`42["exit"]`, `42/a,["exit"]`, `42["exit"]`, `421["next"]`, `42/a,2["next"]`)
					got := []string{c.Next(), c.Next()}
					slices.Sort(got)
					if want := []string{`43/a,2["/a"]`, `431["/"]`}; !slices.Equal(got, want) {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				c.Abort()
				synctest.Wait()
				s.want(t, "one has left", "one has left")
			})
		})
	}
}
