package natsadapter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// startJetStream starts a server of NATS with JetStream.
func startJetStream(tb testing.TB, change ...func(o *server.Options)) *natsServer {
	tb.Helper()
	dir := tb.TempDir()
	return startNATS(tb, append([]func(o *server.Options){func(o *server.Options) { o.JetStream, o.StoreDir = true, dir }}, change...)...)
}

func TestJetStreamSuite(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	for _, shared := range []bool{false, true} {
		for _, memory := range []bool{false, true} {
			t.Run(fmt.Sprintf("one connection: %t, in memory: %t", shared, memory), func(t *testing.T) {
				t.Parallel()
				siotest.TestCluster(t, func(t *testing.T, n int) []adapter.Cluster {
					o := natsadapter.JetStreamOptions{SubjectPrefix: newPrefix(), MemoryStorage: memory}
					nc := s.connect(t)
					all := make([]adapter.Cluster, n)
					for i := range all {
						if !shared && i > 0 {
							nc = s.connect(t)
						}
						all[i] = natsadapter.NewJetStream(nc, o)
					}
					return all
				})
			})
		}
	}
}

// A jetServer is what tests need of an adapter with JetStream.
type jetServer interface {
	clusterServer
	adapter.LogProvider
}

func newJetServer(nc *nats.Conn, opts ...natsadapter.JetStreamOptions) jetServer {
	return natsadapter.NewJetStream(nc, opts...)
}

func TestJetStreamLog(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	siotest.TestLog(t, nil, func(t *testing.T, limits adapter.MemoryLogOptions) adapter.Log {
		t.Helper()
		c := newJetServer(s.connect(t), natsadapter.JetStreamOptions{
			SubjectPrefix: newPrefix(), MemoryStorage: true, MaxBytes: int64(limits.MaxBytes), MaxSessions: limits.MaxSessions,
		})
		keep := time.Minute
		if limits.MaxAge > 0 {
			keep = limits.MaxAge
		}
		l := c.NewLog("/", keep)
		join(t, c)
		eventually(t, "the stream was looked at", func() bool { return l.End() != "0-0" })
		return l
	})
}
