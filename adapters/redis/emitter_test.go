package redisadapter_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/internal/captures"
	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/internal/redistest"
)

type sendFunc func(ctx context.Context, e redisadapter.Emitter) error

func emit(event string, args ...any) sendFunc {
	return func(ctx context.Context, e redisadapter.Emitter) error { return e.Emit(ctx, event, args...) }
}

// toSome selects as one of the captured operations does, with other words.
func toSome(f func(e redisadapter.Emitter) redisadapter.Emitter, send sendFunc) sendFunc {
	return func(ctx context.Context, e redisadapter.Emitter) error { return send(ctx, f(e)) }
}

func room1(e redisadapter.Emitter) redisadapter.Emitter { return e.To("room1") }

func selected(e redisadapter.Emitter) redisadapter.Emitter {
	return e.To("room1").In("r2").Except("x").Volatile().Compress(false)
}

// An emitter publishes what the official one does, on the same channels.
func TestCAP_RE_ClassicEmitter(t *testing.T) {
	t.Parallel()
	client := newClient(t, redistest.Start(t).Addr)
	sub := client.PSubscribe(t.Context(), "*")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, k := redisadapter.ClassicEmitter(client), redisadapter.ClassicEmitter(client, redisadapter.ClassicEmitterOptions{Key: "k"})
	operations := map[string]sendFunc{
		"emitter emit":                         emit("hi", 1, map[string]int{"a": 1}),
		"emitter emit binary":                  emit("hib", []byte{1, 2}),
		"emitter to":                           toSome(room1, emit("hi", 1)),
		"emitter to2 except volatile compress": toSome(selected, emit("hi", 1)),
		"emitter of(chat)":                     toSome(func(e redisadapter.Emitter) redisadapter.Emitter { return e.To("lost").Of("chat") }, emit("hi", 1)),
		"emitter socketsJoin":                  toSome(room1, func(ctx context.Context, e redisadapter.Emitter) error { return e.Join(ctx, "a", "b") }),
		"emitter socketsLeave":                 toSome(room1, func(ctx context.Context, e redisadapter.Emitter) error { return e.Leave(ctx, "a") }),
		"emitter disconnectSockets":            func(ctx context.Context, e redisadapter.Emitter) error { return e.To("nobody").Close(ctx) },
		"emitter serverSideEmit":               func(ctx context.Context, e redisadapter.Emitter) error { return e.ServerSideEmit(ctx, "sse", "w", 1) },
		"emitter redisKey option":              func(ctx context.Context, _ redisadapter.Emitter) error { return k.Emit(ctx, "hi", 1) },
	}
	for _, r := range captures.Rows(t, "redis-emitter") {
		send := operations[r.Operation]
		if send == nil {
			t.Errorf("%s: %s is not tested", r.ID, r.Operation)
			continue
		}
		if err := send(t.Context(), e); err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		m, err := sub.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Channel != r.Channel {
			t.Errorf("%s: channel %s, want %s", r.ID, m.Channel, r.Channel)
		}
		same(t, r.ID, message(t, m.Payload), r.Decoded)
	}
}

// message returns what a message means.
func message(t *testing.T, payload string) any {
	t.Helper()
	if payload[0] == '{' {
		return captures.FromJSON(t, []byte(payload))
	}
	return captures.FromMessagePack(t, []byte(payload))
}

func same(t *testing.T, id string, got, want any) {
	t.Helper()
	if g, w := captures.Normal(got), captures.Normal(want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s:\ngot  %v\nwant %v", id, g, w)
	}
}

// There is no official emitter for sharded channels. This one publishes what a server does.
func TestCAP_SH_ShardedEmitter(t *testing.T) {
	t.Parallel()
	client := newClient(t, redistest.Start(t).Addr)
	sub := client.SSubscribe(t.Context(), "socket.io#/#", "socket.io#/#room1#", "socket.io#/#abcdefghij0123456789#", "socket.io#/chat#")
	defer sub.Close()
	for range 4 {
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	to := func(rooms ...string) func(redisadapter.Emitter) redisadapter.Emitter {
		return func(e redisadapter.Emitter) redisadapter.Emitter { return e.To(rooms...) }
	}
	type e = redisadapter.Emitter
	object := map[string]any{"a": []any{nil}}
	operations := map[string]sendFunc{
		"io.emit plain":           emit("hello", 1, "two", map[string]any{"a": []any{nil, true}}),
		"io.emit Buffer":          emit("bin", []byte{1, 2, 3}, map[string]any{"deep": [][]byte{{255}}}),
		"to one room":             toSome(room1, emit("r1", 1)),
		"to two rooms":            toSome(to("room1", "room2"), emit("r2", 1)),
		"to 20 char room":         toSome(to("abcdefghij0123456789"), emit("r20", 1)),
		"except":                  toSome(func(e e) e { return e.Except("room2") }, emit("ex", 1)),
		"to except":               toSome(func(e e) e { return e.To("room1").Except("room2", "z") }, emit("tex", 1)),
		"volatile":                toSome(e.Volatile, emit("vol", 1)),
		"compress(false)":         toSome(func(e e) e { return e.Compress(false) }, emit("cmp", 1)),
		"of /chat":                toSome(func(e e) e { return e.Of("/chat") }, emit("c", 1)),
		"socketsJoin":             toSome(room1, func(ctx context.Context, e e) error { return e.Join(ctx, "n1", "n2") }),
		"socketsJoin all one":     func(ctx context.Context, e e) error { return e.Join(ctx, "n3") },
		"socketsLeave":            func(ctx context.Context, e e) error { return e.To("room1").Except("zz").Leave(ctx, "n1") },
		"disconnectSockets":       func(ctx context.Context, e e) error { return e.To("room2").Disconnect(ctx) },
		"disconnectSockets(true)": func(ctx context.Context, e e) error { return e.To("roombin").Close(ctx) },
		"serverSideEmit":          func(ctx context.Context, e e) error { return e.ServerSideEmit(ctx, "sse", "x", 1, object) },
		"serverSideEmit binary":   func(ctx context.Context, e e) error { return e.ServerSideEmit(ctx, "sse", []byte{1, 2}) },
	}
	emitter := redisadapter.ShardedEmitter(client)
	tested := make(map[string]bool)
	for _, r := range captures.Rows(t, "redis-sharded") {
		send := operations[r.Operation]
		if send == nil {
			continue
		}
		tested[r.Operation] = true
		if err := send(t.Context(), emitter); err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		m, err := sub.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Channel != r.Channel {
			t.Errorf("%s: channel %s, want %s", r.ID, m.Channel, r.Channel)
		}
		want, _ := r.Decoded.(map[string]any)
		want["uid"] = "emitter"
		same(t, r.ID+" "+r.Operation, message(t, m.Payload), want)
	}
	if len(tested) != len(operations) {
		t.Errorf("only %v were captured", tested)
	}
}

// An emitter adds what the official one does to the stream.
func TestCAP_SE_StreamsEmitter(t *testing.T) {
	t.Parallel()
	client := newClient(t, redistest.Start(t).Addr)
	emitter := redisadapter.StreamsEmitter(client)
	type e = redisadapter.Emitter
	operations := map[string]sendFunc{
		"streams-emitter emit":                        emit("hi", 1),
		"streams-emitter emit binary":                 emit("hi", []byte{1, 2}),
		"streams-emitter to except volatile compress": toSome(selected, emit("hi", 1)),
		"streams-emitter of(/chat)":                   toSome(func(e e) e { return e.Of("/chat") }, emit("hi", 1)),
		"streams-emitter of(chat)":                    toSome(func(e e) e { return e.Of("chat") }, emit("hi", 1)), // which is the same here
		"streams-emitter socketsJoin":                 toSome(room1, func(ctx context.Context, e e) error { return e.Join(ctx, "a") }),
		"streams-emitter socketsLeave":                toSome(room1, func(ctx context.Context, e e) error { return e.Leave(ctx, "a") }),
		"streams-emitter disconnectSockets":           func(ctx context.Context, e e) error { return e.To("nobody").Close(ctx) },
		"streams-emitter serverSideEmit":              func(ctx context.Context, e e) error { return e.ServerSideEmit(ctx, "sse", "w") },
	}
	for i, r := range captures.Rows(t, "redis-streams-emitter") {
		send := operations[r.Operation]
		if send == nil {
			t.Errorf("%s: %s is not tested", r.ID, r.Operation)
			continue
		}
		if err := send(t.Context(), emitter); err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		entries, err := client.XRange(t.Context(), r.Channel, "-", "+").Result()
		if err != nil || len(entries) != i+1 {
			t.Fatalf("%s: %d entries, error %v", r.ID, len(entries), err)
		}
		got := entries[i].Values
		data, _ := got["data"].(string)
		if strings.HasPrefix(data, "{") != strings.HasPrefix(r.Text, "{") {
			t.Errorf("%s: data is %s, want %s", r.ID, data, r.Text)
		}
		if data[0] != '{' {
			b, err := base64.StdEncoding.DecodeString(data)
			if err != nil {
				t.Fatal(err)
			}
			data = string(b)
		}
		delete(got, "data")
		want := map[string]any{"uid": r.Field("uid"), "nsp": r.Field("nsp"), "type": r.Field("type")}
		if want["nsp"] == "chat" {
			want["nsp"] = "/chat"
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", r.ID, got, want)
		}
		if packet, ok := r.Decoded.(map[string]any)["packet"].(map[string]any); ok {
			delete(packet, "nsp") // which stands beside it
		}
		same(t, r.ID, message(t, data), r.Decoded)
	}
}

func TestEmitterErrors(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := newClient(t, server.Addr)
	e := redisadapter.ClassicEmitter(client)
	for name, err := range map[string]error{
		"connect is reserved":    e.Emit(t.Context(), "connect"),
		"connection is reserved": e.ServerSideEmit(t.Context(), "connection"),
		"a channel has no JSON":  e.Emit(t.Context(), "e", make(chan int)),
		"a room is not UTF-8":    e.To("\xff").Emit(t.Context(), "e"),
		"a new room is not":      e.Join(t.Context(), "\xff"),
		"a namespace is not":     e.Of("\xff").Emit(t.Context(), "e"),
		"looks like binary data": e.Emit(t.Context(), "e", []byte{1}, map[string]any{"_placeholder": true, "num": 0}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "cluster: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Emit(ctx, "e"); err == nil {
		t.Error("no error after the end of the context")
	}
	server.Kill()
	if err := e.Emit(t.Context(), "e"); err == nil {
		t.Error("no error without Redis")
	}
}

// A cutConn is a connection that can break off in place of a reply.
type cutConn struct {
	net.Conn

	cut *atomic.Bool
}

func (c cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.cut.CompareAndSwap(true, false) {
		return 0, io.EOF
	}
	return n, err
}

// A command that may have been taken is not sent again, whatever the client does by itself.
func TestEmitterSendsOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var cut atomic.Bool
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return cutConn{c, &cut}, err
		},
	})
	defer client.Close()
	e := redisadapter.StreamsEmitter(client)
	if err := e.Emit(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	cut.Store(true)
	if err := e.Emit(t.Context(), "second"); err == nil {
		t.Error("no error although there was no reply")
	}
	if n, err := client.XLen(t.Context(), "socket.io").Result(); err != nil || n != 2 {
		t.Errorf("%d entries, error %v", n, err)
	}
}

// On a Redis Cluster, each channel has a master, which can change.
func TestCAP_F_19_EmitterOnACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()})
	defer client.Close()
	e := redisadapter.ShardedEmitter(client)
	slot, err := client.ClusterKeySlot(t.Context(), "socket.io#/#").Result()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		owner := c.Owner(int(slot))
		if i == 1 {
			for _, other := range c.Masters {
				if other != owner {
					c.Migrate(int(slot), other)
					owner = other
					break
				}
			}
		}
		own := newClient(t, owner.Addr)
		sub := own.SSubscribe(t.Context(), "socket.io#/#")
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.Emit(t.Context(), "e", i); err != nil {
			t.Fatal(err)
		}
		m, err := sub.ReceiveMessage(t.Context())
		if err != nil || !strings.Contains(m.Payload, fmt.Sprintf(`["e",%d]`, i)) {
			t.Errorf("message %v, error %v", m, err)
		}
		_ = sub.Close()
	}
}

// What cannot work is said when the emitter is made.
func TestEmitterPanics(t *testing.T) {
	t.Parallel()
	client := newClient(t, "127.0.0.1:1")
	for name, f := range map[string]func(){
		"ClassicEmitter: the client is nil": func() { redisadapter.ClassicEmitter(nil) },
		"StreamsEmitter: MaxLen":            func() { redisadapter.StreamsEmitter(client, redisadapter.StreamsEmitterOptions{MaxLen: -1}) },
		"ShardedEmitter: there is no SubscriptionMode": func() {
			redisadapter.ShardedEmitter(client, redisadapter.ShardedEmitterOptions{SubscriptionMode: "x"})
		},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "redisadapter: "+name) {
					t.Errorf("got %s, want %s", got, name)
				}
			}()
			f()
		}()
	}
}

// Clients come into a room by a join whose message takes another channel: what follows goes
// the same way.
func TestShardedEmitterAfterAJoin(t *testing.T) {
	t.Parallel()
	client := newClient(t, redistest.Start(t).Addr)
	sub := client.SSubscribe(t.Context(), "socket.io#/#")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := redisadapter.ShardedEmitter(client)
	if err := e.Join(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	if err := e.To("new").Emit(t.Context(), "welcome"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"type":4`, `["welcome"]`} {
		m, err := sub.ReceiveMessage(t.Context())
		if err != nil || !strings.Contains(m.Payload, want) {
			t.Errorf("got %v, want %s, error %v", m, want, err)
		}
	}
}
