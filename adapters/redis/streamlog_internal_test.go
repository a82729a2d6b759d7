package redisadapter

import (
	"context"
	"encoding/base64"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/redistest"
)

// A streamPeer adds messages to a stream and reads it, as the broker does, without any more.
type streamPeer struct {
	adapter.Adapter

	logs   *streamLogs
	stream string
	self   string
	queue  chan *adapter.Message
	maxLen int64
	in     cluster.Inbound
}

func newStreamPeer(t *testing.T, client *redis.Client, stream, self string, maxLen int64) *streamPeer {
	t.Helper()
	p := &streamPeer{stream: stream, self: self, queue: make(chan *adapter.Message, 10_000), maxLen: maxLen}
	p.logs = newStreamLogs(client, func(string) string { return stream }, "sio:session:", 100)
	ctx, cancel := context.WithCancel(t.Context())
	begun, written, read := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		for m := range p.queue {
			p.add(t, client, m)
		}
	}()
	go func() {
		defer close(read)
		p.read(ctx, t, client, begun)
	}()
	<-begun
	t.Cleanup(func() {
		close(p.queue)
		<-written
		cancel()
		<-read
	})
	return p
}

func (p *streamPeer) Publish(m *adapter.Message) error {
	p.queue <- m
	return nil
}

func (p *streamPeer) add(t *testing.T, client *redis.Client, m *adapter.Message) {
	t.Helper()
	kinds := map[adapter.Kind]cluster.Type{
		adapter.Broadcast: cluster.Broadcast, adapter.Join: cluster.SocketsJoin, adapter.Leave: cluster.SocketsLeave,
		adapter.Disconnect: cluster.DisconnectSockets,
	}
	packet := &cluster.Packet{Type: kinds[m.Kind], From: p.self, Namespace: "/", Message: m}
	data, err := cluster.AppendDataMessagePack(nil, packet)
	if err != nil {
		t.Error(err)
	}
	kind, text := strconv.Itoa(int(packet.Type)), base64.StdEncoding.EncodeToString(data)
	p.logs.sending(packet, kind, text)
	err = client.XAdd(context.Background(), &redis.XAddArgs{
		Stream: p.stream, MaxLen: p.maxLen, Approx: true,
		Values: []string{fieldUID, p.self, fieldNSP, "/", fieldType, kind, fieldData, text},
	}).Err()
	if err != nil {
		t.Error(err)
	}
}

func (p *streamPeer) read(ctx context.Context, t *testing.T, client *redis.Client, begun chan struct{}) {
	t.Helper()
	at := entryID{Major: 1}
	p.logs.order(p.stream).Begin(at)
	close(begun)
	for ctx.Err() == nil {
		streams, err := client.XRead(ctx, &redis.XReadArgs{
			Streams: []string{p.stream, at.String()}, Count: 10, Block: 20 * time.Millisecond,
		}).Result()
		if err != nil {
			continue
		}
		for _, m := range streams[0].Messages {
			e, ok := newStreamEntry(m)
			if at = e.id; ok {
				p.logs.read(p.stream, p.self, &e, p.in)
			}
		}
	}
}

func TestStreamLog(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--stream-node-max-entries", "4")
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	number := 0
	siotest.TestLog(t, nil, func(t *testing.T, limits adapter.MemoryLogOptions) adapter.Log {
		t.Helper()
		number++
		maxLen := int64(10_000)
		if limits.MaxBytes > 0 {
			maxLen = int64(limits.MaxBytes) / 10_000
		}
		keep := time.Minute
		if limits.MaxAge > 0 {
			keep = limits.MaxAge
		}
		p := newStreamPeer(t, client, "stream "+strconv.Itoa(number), "self", maxLen)
		p.logs.LocalWait = time.Minute // however busy the machine is
		l := p.logs.open("/", keep)
		p.logs.Joined("/", p)
		return l
	})
}
