package sio_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	"github.com/sioplug/sioplug/core/siotest"
)

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
