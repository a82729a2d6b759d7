package redisadapter

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

const (
	me    = "go12345678901234"
	other = "go98765432109876"
)

func broadcastFrom(server string, rooms ...string) *cluster.Packet {
	return &cluster.Packet{
		Type: cluster.Broadcast, From: server, Namespace: "/",
		Message: &adapter.Message{
			Kind: adapter.Broadcast, Data: []byte(`["b",1,"` + strings.Repeat("x", 100) + `"]`), Target: adapter.Target{Rooms: rooms},
		},
	}
}

// An inbound counts what a broker passes on.
type inbound struct {
	cluster.Inbound

	received int
	refused  error
}

func (in *inbound) Receive(*cluster.Packet) { in.received++ }
func (in *inbound) Refused(err error)       { in.refused = err }

// newTestClassic returns a broker that is not connected.
func newTestClassic(in cluster.Inbound) *classic {
	c := newClassic(newNodes(redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}), time.Minute, "Classic"), ClassicOptions{Key: "socket.io"})
	c.identify(me, in)
	return c
}

// published is what Redis sends to the subscribers of a broadcast.
func published(tb testing.TB, p *cluster.Packet) []byte {
	tb.Helper()
	c := newTestClassic(nil)
	payload, err := appendClassic(nil, p)
	if err != nil {
		tb.Fatal(err)
	}
	out := appendHead(nil, ofPattern)
	out = appendBulk(out, "pmessage")
	out = appendBulk(out, c.broadcasts("/")+"*")
	out = appendBulk(out, c.channel(p))
	return appendBulk(out, payload)
}

// receiver returns a function that receives a message as the only one of a connection.
func receiver(c *classic, message []byte) func() error {
	l := &link{owner: &subscriptions{in: c.in, deliver: c.deliver}, entries: map[topic]*entry{
		{pattern, c.broadcasts("/") + "*"}: {target: target{"/", ofBroadcasts}, wanted: true},
	}}
	in := bytes.NewReader(nil)
	r := newReplyReader(in)
	return func() error {
		in.Reset(message)
		v, err := r.next()
		if err != nil {
			return err
		}
		return l.push(&v)
	}
}

// silentRedis takes what is written, and answers each batch of n commands.
type silentRedis struct {
	net.Conn

	n       int
	asked   chan struct{}
	replies []byte
	rest    []byte
}

func newSilentRedis(n int) *silentRedis {
	return &silentRedis{n: n, asked: make(chan struct{}, 1), replies: bytes.Repeat([]byte(":2\r\n"), n)}
}

func (s *silentRedis) Write(b []byte) (int, error) {
	s.asked <- struct{}{}
	return len(b), nil
}

func (s *silentRedis) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		if _, ok := <-s.asked; !ok {
			return 0, io.EOF
		}
		s.rest = s.replies
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *silentRedis) Close() error                     { return nil }
func (s *silentRedis) SetWriteDeadline(time.Time) error { return nil }

// publishing returns a function that publishes packets to a Redis that does nothing.
func publishing(tb testing.TB, c *classic, packets []*cluster.Packet) func() error {
	tb.Helper()
	s := newSilentRedis(len(packets))
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	c.pub.conns = map[string]*publishConn{"": newPublishConn(&conn{Conn: s, client: client, timeout: time.Minute})}
	tb.Cleanup(func() {
		close(s.asked)
		<-c.pub.conns[""].failed
		_ = client.Close()
	})
	return func() error {
		taken, lost, err := c.pub.publish(context.Background(), packets)
		if err == nil && taken+lost != len(packets) {
			tb.Fatalf("%d taken, %d lost", taken, lost)
		}
		return err
	}
}

func BenchmarkClassicPublish(b *testing.B) {
	for name, n := range map[string]int{"one": 1, "64": maxPipeline} {
		b.Run(name, func(b *testing.B) {
			packets := make([]*cluster.Packet, n)
			for i := range packets {
				packets[i] = broadcastFrom(me)
			}
			send := publishing(b, newTestClassic(nil), packets)
			b.ReportAllocs()
			for b.Loop() {
				if err := send(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/packet")
		})
	}
}

func BenchmarkClassicReceive(b *testing.B) {
	for name, from := range map[string]string{"own": me, "other": other} {
		b.Run(name, func(b *testing.B) {
			in := &inbound{}
			receive := receiver(newTestClassic(in), published(b, broadcastFrom(from)))
			b.ReportAllocs()
			for b.Loop() {
				if err := receive(); err != nil || in.refused != nil {
					b.Fatal(err, in.refused)
				}
			}
		})
	}
}
