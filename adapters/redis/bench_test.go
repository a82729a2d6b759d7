package redisadapter_test

import (
	"context"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// A counting node counts messages. It implements [adapter.Node].
type counting struct{ got chan struct{} }

func (c counting) Receive(*adapter.Message)                                       { c.got <- struct{}{} }
func (c counting) Answer(context.Context, *adapter.Message, func(*adapter.Reply)) {}

// BenchmarkMessage sends a message to another server of the same process. Its allocations
// are those of both: of the cluster, the encoding, the broker and the decoding.
func BenchmarkMessage(b *testing.B) {
	for name, newCluster := range adapters() {
		b.Run(name, func(b *testing.B) {
			client := newClient(b, redistest.Start(b).Addr)
			const window = 1000
			to := counting{make(chan struct{}, 2*window)}
			from := newCluster(client).Join("/", counting{make(chan struct{}, 2*window)})
			defer from.Close()
			other := newCluster(client).Join("/", to)
			defer other.Close()
			m := &adapter.Message{Kind: adapter.Broadcast, Data: []byte(`["message",{"text":"hello","number":42}]`)}
			send := func() {
				if err := from.Publish(m); err != nil {
					b.Fatal(err)
				}
			}
			connectBench(b, send, to.got)
			b.ReportAllocs()
			b.ResetTimer()
			sent := 0
			for range b.N {
				send()
				if sent++; sent > window {
					<-to.got
				}
			}
			for range min(sent, window) {
				<-to.got
			}
		})
	}
}

// connectBench sends until what is sent arrives, and all of it has.
func connectBench(b *testing.B, send func(), got chan struct{}) {
	b.Helper()
	for {
		send()
		select {
		case <-got:
			for idle := false; !idle; { // the others, unless they were sent too early
				select {
				case <-got:
				case <-time.After(200 * time.Millisecond):
					idle = true
				}
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
