package sio_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
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

// A badValue cannot even be printed.
type badValue struct{}

func (v badValue) Error() string { panic(v) }

// An endless one ends whoever prints it.
type exitingValue struct{}

func (exitingValue) String() string { runtime.Goexit(); return "" }

// ways are the ways in which a function can fail to return.
func ways() map[string]func() {
	return map[string]func(){
		"panic":                      func() { panic("broken") },
		"panic that nobody can read": func() { panic(badValue{}) },
		"panic that ends its reader": func() { panic(exitingValue{}) },
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
	then     func(t *testing.T, srv *sio.Server)
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

func (l badLog) Handle(_ context.Context, r slog.Record) error {
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
		if got != want && !(strings.Contains(want, "*") && strings.HasPrefix(got, head) && (tail == "" || strings.HasSuffix(got, tail) || strings.HasSuffix(got, `"}`))) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// badParser is a parser that fails, around one that does not.
type badParser struct {
	parser.Parser

	encode, decode, create *bomb
}

type badDecoder struct {
	parser.Decoder

	*bomb
}

func (p badParser) Encode(k *parser.Packet) ([]parser.Message, error) {
	p.encode.call()
	return p.Parser.Encode(k)
}

func (p badParser) NewDecoder(l parser.Limits) parser.Decoder {
	p.create.call()
	return badDecoder{p.Parser.NewDecoder(l), p.decode}
}

func (d badDecoder) Decode(m parser.Message) (*parser.Packet, error) {
	d.call()
	return d.Decoder.Decode(m)
}

// badFS is a file system that fails.
type badFS struct{ *bomb }

func (f badFS) Open(string) (fs.File, error) { f.call(); return nil, fs.ErrNotExist }

func requestPlaces() map[string]func(o *sio.Options, b *bomb) {
	return map[string]func(o *sio.Options, b *bomb){
		"UseRequest": func(o *sio.Options, b *bomb) {
			o.UseRequest = []func(http.Header, *sio.Request) error{func(http.Header, *sio.Request) error { b.call(); return nil }}
		},
		"AllowRequest": func(o *sio.Options, b *bomb) { o.AllowRequest = func(*sio.Request) error { b.call(); return nil } },
		"AllowRequest's error": func(o *sio.Options, b *bomb) {
			o.AllowRequest = func(*sio.Request) error {
				if b.armed.Load() {
					return badError{b}
				}
				return nil
			}
		},
		"GenerateID": func(o *sio.Options, b *bomb) {
			var n atomic.Int32
			o.GenerateID = func(*sio.Request) (string, error) { b.call(); return fmt.Sprint("id", n.Add(1)), nil }
		},
		"OnHeaders":        func(o *sio.Options, b *bomb) { o.OnHeaders = func(http.Header, *sio.Request) { b.call() } },
		"OnInitialHeaders": func(o *sio.Options, b *bomb) { o.OnInitialHeaders = func(http.Header, *sio.Request) { b.call() } },
		"OnConnectionError": func(o *sio.Options, b *bomb) {
			o.AllowRequest = func(*sio.Request) error {
				if b.armed.Load() {
					return errors.New("no")
				}
				return nil
			}
			o.OnConnectionError = func(sio.ConnectionError) { b.call() }
		},
		"AllowOrigin": func(o *sio.Options, b *bomb) {
			o.CORS = &sio.CORS{AllowOrigin: func(*sio.Request, string) (bool, error) { b.call(); return true, nil }}
		},
		"Cookie.Encode": func(o *sio.Options, b *bomb) {
			o.Cookie = &sio.Cookie{Encode: func(id string) string { b.call(); return id }}
		},
		"ClientFS": func(o *sio.Options, b *bomb) { o.ClientFS = badFS{b} },
		"Logger": func(o *sio.Options, b *bomb) {
			o.Logger = slog.New(badLog{b, b})
			o.AllowRequest = func(*sio.Request) error {
				if b.armed.Load() {
					return errors.New("no")
				}
				return nil
			}
		},
	}
}

// TestRequestsSurviveTheApplication: whatever fails while a request is served, it is
// answered, and nothing is left of it.
func TestRequestsSurviveTheApplication(t *testing.T) {
	for name, set := range requestPlaces() {
		for way, fail := range ways() {
			t.Run(name+"/"+way, func(t *testing.T) {
				b := &bomb{fail: fail}
				opts := &sio.Options{Logger: slog.New(new(logbook))}
				set(opts, b)
				bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					echo(srv.Namespace)
					b.armed.Store(true)
					for _, target := range []string{d.Endpoint("EIO", "4", "transport", "polling"), d.URL + "socket.io.js"} {
						r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
						must(t, err)
						r.Header.Set("Origin", "http://other.example")
						res, err := d.HTTP(t).Do(r)
						if err != nil {
							t.Fatalf("not answered: %v", err)
						}
						_ = res.Body.Close()
					}
					synctest.Wait()
					if b.times.Load() == 0 {
						t.Error("nothing has failed")
					}
					b.armed.Store(false)
					for _, open := range transports() {
						c := open(t, d)
						c.Connect("/", "")
						mustEcho(t, c)
					}
				})
			})
		}
	}
}

// badCluster is a cluster whose adapters fail.
type badCluster struct {
	adapter.Cluster

	bomb *bomb
}

type badAdapter struct {
	adapter.Adapter

	bomb *bomb
}

func (c badCluster) Join(name string, n adapter.Node) adapter.Adapter {
	return badAdapter{c.Cluster.Join(name, n), c.bomb}
}

func (a badAdapter) Publish(m *adapter.Message) error { a.bomb.call(); return a.Adapter.Publish(m) }

func (a badAdapter) Ask(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) error {
	a.bomb.call()
	return a.Adapter.Ask(ctx, m, reply)
}

func (a badAdapter) Close() error       { a.bomb.call(); return a.Adapter.Close() }
func (a badAdapter) RoomCreated(string) { a.bomb.call() }
func (a badAdapter) RoomDeleted(string) { a.bomb.call() }

// TestAdaptersThatFail: the other servers cannot be told, and this server's clients do
// not suffer.
func TestAdaptersThatFail(t *testing.T) {
	for way, fail := range ways() {
		t.Run(way, func(t *testing.T) {
			b := &bomb{fail: fail}
			opts := &sio.Options{Logger: slog.New(new(logbook)), Adapter: badCluster{adapter.NewMemory(), b}}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.OnDisconnect(func(*sio.Socket, sio.Reason) {})
				c := d.WebSocket(t)
				c.Connect("/", "")
				b.armed.Store(true)
				if err := srv.Emit("news"); err == nil {
					t.Error("Emit knows of no failure")
				}
				c.Want(`42["news"]`)
				must(t, srv.Broadcast().Local().Join("room"))
				all, err := srv.Broadcast().Fetch(t.Context())
				if len(all) != 1 || err == nil {
					t.Errorf("%d sockets, error %v", len(all), err)
				}
				c.Abort()
				synctest.Wait()
				if n := len(srv.Rooms()); n > 0 {
					t.Errorf("%d rooms", n)
				}
			}) // with an adapter whose Close fails
		})
	}
}

// badEventLog is a log that fails.
type badEventLog struct {
	adapter.Log

	bomb *bomb
}

func (l badEventLog) Append(m *adapter.Message, deliver func(string)) error {
	l.bomb.call()
	return l.Log.Append(m, deliver)
}

func (l badEventLog) Save(ctx context.Context, s *adapter.Session) error {
	l.bomb.call()
	return l.Log.Save(ctx, s)
}

func (l badEventLog) Claim(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	l.bomb.call()
	return l.Log.Claim(ctx, pid, offset)
}

func (l badEventLog) Compare(a, b string) int { l.bomb.call(); return l.Log.Compare(a, b) }

func (l badEventLog) Replay(
	ctx context.Context, offset string, limit int, f func(*adapter.Message, string), last func(),
) (bool, error) {
	l.bomb.call()
	return l.Log.Replay(ctx, offset, limit, f, last)
}

func (l badEventLog) Close() error { l.bomb.call(); return l.Log.Close() }

// TestLogsThatFail: events are not kept and sessions are not recovered, but clients
// are served.
func TestLogsThatFail(t *testing.T) {
	for way, fail := range ways() {
		t.Run(way, func(t *testing.T) {
			b := &bomb{fail: fail}
			opts := &sio.Options{Logger: slog.New(new(logbook)), ConnectionStateRecovery: &sio.Recovery{
				Log: func(string) adapter.Log { return badEventLog{adapter.NewMemoryLog(adapter.MemoryLogOptions{}), b} },
			}}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				gone := reasons(srv.Namespace)
				b.armed.Store(true)
				for range 2 {
					c := d.WebSocket(t)
					c.Send(`40{"pid":"x","offset":"y"}`)
					wantLike(t, c, `40{"sid":"*`)
					must(t, srv.Emit("news"))
					c.Want(`42["news"]`)
					c.Abort()
					mustReason(t, gone, sio.ReasonTransportClose)
				}
			})
		})
	}
}

// flakyLog is a log that fails in one place, once.
type flakyLog struct {
	adapter.Log

	place string
	bomb  *bomb
}

func (l flakyLog) at(place string) {
	if l.place == place {
		l.bomb.call()
	}
}

func (l flakyLog) Append(m *adapter.Message, deliver func(string)) error {
	err := l.Log.Append(m, deliver)
	l.at("Append, when it has delivered")
	return err
}

func (l flakyLog) Claim(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	s, err := l.Log.Claim(ctx, pid, offset)
	l.at("Claim")
	return s, err
}

func (l flakyLog) Compare(a, b string) int { l.at("Compare"); return l.Log.Compare(a, b) }

func (l flakyLog) Replay(
	ctx context.Context, offset string, limit int, f func(*adapter.Message, string), last func(),
) (bool, error) {
	l.at("Replay")
	more, err := l.Log.Replay(ctx, offset, limit, func(m *adapter.Message, offset string) {
		f(m, offset)
		l.at("Replay, between messages")
	}, last)
	if last != nil {
		l.at("Replay, when the client is back")
	}
	return more, err
}

// TestLogsThatFailWhenAClientComesBack: it is answered once, its connection stays, and
// it gets what is sent from then on.
func TestLogsThatFailWhenAClientComesBack(t *testing.T) {
	for way, fail := range ways() {
		for place, recovers := range map[string]bool{
			"Append, when it has delivered": true, "Claim": false, "Compare": false, "Replay": false,
			"Replay, between messages": false, "Replay, when the client is back": true,
		} {
			t.Run(place+"/"+way, func(t *testing.T) {
				b := &bomb{fail: fail, once: true}
				opts := &sio.Options{Logger: slog.New(new(logbook)), ConnectionStateRecovery: &sio.Recovery{
					Log: func(string) adapter.Log { return flakyLog{adapter.NewMemoryLog(adapter.MemoryLogOptions{}), place, b} },
				}}
				bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					v := arrive(t, srv, d.WebSocket(t))
					v.Abort()
					synctest.Wait()
					b.armed.Store(true)
					must(t, srv.Emit("missed"))
					id := v.id
					v.connect(t, d.WebSocket(t))
					if (v.id == id) != recovers {
						t.Errorf("recovered %v", v.id == id)
					}
					must(t, srv.Emit("news"))
					v.want(t, `42["news"]`)
					if b.times.Load() != 1 {
						t.Errorf("failed %d times", b.times.Load())
					}
					if n := len(srv.Broadcast().Local().Sockets()); n != 1 {
						t.Errorf("%d sockets", n)
					}
				})
			})
		}
	}
}

// TestServerEventsSurviveTheirHandlers: of two servers, neither ends.
func TestServerEventsSurviveTheirHandlers(t *testing.T) {
	for way, fail := range ways() {
		t.Run(way, func(t *testing.T) {
			b := &bomb{fail: fail}
			b.armed.Store(true)
			opts := sio.Options{Logger: slog.New(new(logbook))}
			cluster(t, 2, opts, func(t *testing.T, fl *fleet) {
				var heard story
				fl.servers[1].OnServerEvent("call", func(context.Context, sio.Args) (any, error) { b.call(); return nil, nil })
				fl.servers[1].OnServerEvent("answer", func(context.Context, sio.Args) (any, error) { return b, nil })
				fl.servers[1].OnServerEvent("good", func(context.Context, sio.Args) (any, error) { heard.add("good"); return 1, nil })
				for _, event := range []string{"call", "answer"} {
					for a := range sio.ServerSideEmitWithAck[any](t.Context(), fl.servers[0].Namespace, event) {
						if a.Err == nil {
							t.Errorf("%s was answered with %v", event, a.Value)
						}
					}
				}
				must(t, fl.servers[0].ServerSideEmit("call"))
				must(t, fl.servers[0].ServerSideEmit("good"))
				synctest.Wait()
				heard.want(t, "good")
			})
		})
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

// TestParsersThatFail: an event that cannot be encoded is an error of its emit, and
// what cannot be decoded ends its connection.
func TestParsersThatFail(t *testing.T) {
	send := func(t *testing.T, c *siotest.Client, p *parser.Packet) error {
		t.Helper()
		messages, err := msgpack.Parser{}.Encode(p)
		must(t, err)
		return c.TrySend("b" + base64.StdEncoding.EncodeToString(messages[0].Data))
	}
	event := &parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["event"]`)}
	for way, fail := range ways() {
		for _, where := range []string{"create", "encode", "encode at connect", "decode"} {
			t.Run(where+"/"+way, func(t *testing.T) {
				bombs := map[string]*bomb{"create": {fail: fail}, "encode": {fail: fail}, "decode": {fail: fail}}
				b := bombs[strings.Fields(where)[0]]
				opts := &sio.Options{
					Logger: slog.New(new(logbook)),
					Parser: badParser{msgpack.Parser{}, bombs["encode"], bombs["decode"], bombs["create"]},
				}
				bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					var s story
					srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("gone") })
					srv.On("event", func(*sio.Ctx) error {
						if err := srv.Emit("news"); err == nil && where == "encode" {
							s.add("emitted")
						}
						s.add("event")
						return nil
					})
					b.armed.Store(where == "create" || where == "encode at connect")
					for _, open := range []func(testing.TB) *siotest.Client{
						func(tb testing.TB) *siotest.Client { tb.Helper(); return d.WebSocket(tb) },
						d.Polling,
					} {
						c := open(t)
						_ = send(t, c, &parser.Packet{Type: parser.Connect, Namespace: "/"})
						synctest.Wait()
						b.armed.Store(true)
						_ = send(t, c, event)
						synctest.Wait()
						_ = c.TrySend("1") // or a poll that is not there would have to end
						c.Abort()
						synctest.Wait()
						b.armed.Store(where == "create" || where == "encode at connect")
					}
					if b.times.Load() == 0 {
						t.Error("nothing has failed")
					}
					told := s.told()
					if slices.Contains(told, "emitted") {
						t.Error("Emit knows of no failure")
					}
					left := len(slices.DeleteFunc(told, func(part string) bool { return part != "gone" }))
					if want := 2; left != want && (where == "encode" || where == "decode") {
						t.Errorf("%d calls of OnDisconnect, want %d", left, want)
					}
				})
			})
		}
	}
}
