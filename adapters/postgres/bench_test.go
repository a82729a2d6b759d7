package postgresadapter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/postgrestest"
)

// A discard is a node that counts.
type discard struct {
	counted

	got chan struct{}
}

func (d discard) Receive(*adapter.Message) { d.got <- struct{}{} }

// BenchmarkBroadcast sends messages from one server to another, of which up to a number are on
// their way. Its allocations are those of both.
func BenchmarkBroadcast(b *testing.B) {
	for _, bench := range []struct {
		name   string
		m      *adapter.Message
		window int
	}{
		{"one after another", event(strings.Repeat("x", 100)), 1},
		{"1000 on their way", event(strings.Repeat("x", 100)), 1000},
		{"binary, one after another", binary("x", 100), 1},
		{"binary, 1000 on their way", binary("x", 100), 1000},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := postgrestest.Start(b)
			from := newServer(connect(b, s.URL)).Join("/", counted{})
			defer from.Close()
			to := discard{got: make(chan struct{}, 1<<16)}
			other := newServer(connect(b, s.URL)).Join("/", to)
			defer other.Close()
			send := func() {
				if err := from.Publish(bench.m); err != nil {
					b.Fatal(err)
				}
			}
			for connected := false; !connected; {
				send()
				select {
				case <-to.got:
					connected = true
				case <-time.After(100 * time.Millisecond):
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			sent := 0
			for range b.N {
				send()
				if sent++; sent >= bench.window {
					<-to.got
				}
			}
			for range min(sent, bench.window) - 1 {
				<-to.got
			}
		})
	}
}
