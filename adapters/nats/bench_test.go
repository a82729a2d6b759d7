package natsadapter_test

import (
	"strings"
	"testing"
	"time"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	"github.com/sioplug/sioplug/core/adapter"
)

// A discard is a node that counts.
type discard struct {
	counted

	got chan struct{}
}

func (d discard) Receive(*adapter.Message) { d.got <- struct{}{} }

// BenchmarkBroadcast is a message from one server to another, over a server of NATS in the
// same process.
func BenchmarkBroadcast(b *testing.B) {
	s := startNATS(b)
	benchmarkBroadcast(b, newServer(s.connect(b)), newServer(s.connect(b)))
}

// BenchmarkBroadcastJetStream is the same through a stream.
func BenchmarkBroadcastJetStream(b *testing.B) {
	s := startJetStream(b)
	o := natsadapter.JetStreamOptions{MemoryStorage: true}
	benchmarkBroadcast(b, newJetServer(s.connect(b), o), newJetServer(s.connect(b), o))
}

func benchmarkBroadcast(b *testing.B, sends, receives adapter.Cluster) {
	b.Helper()
	from := sends.Join("/", counted{})
	to := discard{got: make(chan struct{}, 1<<16)}
	other := receives.Join("/", to)
	defer other.Close()
	defer from.Close()
	m := event(strings.Repeat("x", 100))
	for connected := false; !connected; {
		if err := from.Publish(m); err != nil {
			b.Fatal(err)
		}
		select {
		case <-to.got:
			connected = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := from.Publish(m); err != nil {
			b.Fatal(err)
		}
		<-to.got
	}
}
