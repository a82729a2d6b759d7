package natsadapter_test

import (
	"errors"
	"fmt"
	"strings"
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
	return startNATS(tb, append([]func(o *server.Options){func(o *server.Options) {
		o.JetStream, o.StoreDir, o.JetStreamMaxMemory, o.JetStreamMaxStore = true, dir, 8<<30, 8<<30 // whatever the machine has
	}}, change...)...)
}

// prepare has a server create the streams. While several are created at the same time, the race
// detector finds a race in the server of NATS (checkBytesLimits and reserveStreamResources).
func (s *natsServer) prepare(t *testing.T, o natsadapter.JetStreamOptions) {
	t.Helper()
	s.creating.Lock()
	defer s.creating.Unlock()
	c := newJetServer(connectTo(t, s.srv.ClientURL()), o)
	l := c.NewLog("/", 2*time.Minute)
	a := c.Join("/", counted{})
	eventually(t, "the streams are there", func() bool { return l.End() != "0-0" })
	if err := errors.Join(a.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}

// startPrepared starts a server of NATS with the default streams.
func startPrepared(t *testing.T) *natsServer {
	t.Helper()
	s := startJetStream(t)
	s.prepare(t, natsadapter.JetStreamOptions{})
	return s
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
					s.prepare(t, o)
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
	c := natsadapter.NewJetStream(nc, opts...)
	natsadapter.SetLocalWait(c, patience)
	return c
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

// A server that reads too slowly, or whose connection is lost for a moment, gets what it has
// missed from the stream: everything, once and in order.
func TestJetStreamFillsGaps(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]natsadapter.JetStreamOptions{"slow": {MaxPendingBytes: 5_000}, "cut off": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startPrepared(t)
			nc := s.connect(t)
			block := make(chan struct{})
			a, b := join(t, newJetServer(s.connect(t))), joinBlocked(t, newJetServer(nc, o), block)
			eventually(t, "they know each other", func() bool { return len(a.cluster.Status().Members) == 1 && b.cluster.Status().Healthy })
			const n = 300
			for i := range n {
				a.publish(fmt.Sprint(i))
				if o.MaxPendingBytes == 0 && i%100 == 50 {
					if err := nc.ForceReconnect(); err != nil {
						t.Fatal(err)
					}
				}
			}
			watcher := s.connect(t)
			eventually(t, "all are stored", func() bool { return stored(t, watcher, "sio") >= n })
			close(block)
			for i := range n {
				b.expect(fmt.Sprint(i))
			}
			a.publish("last")
			b.expect("last")
			if st := b.cluster.Status(); st.Gaps > 0 {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// A process without a server reaches all servers through the stream, and is told if it does not.
func TestJetStreamEmitter(t *testing.T) {
	t.Parallel()
	s := startPrepared(t)
	a, b := join(t, newJetServer(s.connect(t))), join(t, newJetServer(s.connect(t)))
	whole(t, a, b)
	e := natsadapter.NewJetStreamEmitter(s.connect(t))
	must(t, e.Emit(t.Context(), "hello"))
	a.expect("hello")
	b.expect("hello")
	other := natsadapter.NewJetStreamEmitter(s.connect(t), natsadapter.JetStreamEmitterOptions{SubjectPrefix: "other"})
	if err := other.Emit(t.Context(), "hello"); err == nil || !strings.Contains(err.Error(), "nobody answers") {
		t.Errorf("error %v", err)
	}
}

// A stream of the same name that is not what the adapter needs is not used.
func TestStreamsWithOtherSettings(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	nc := s.connect(t)
	m, err := nc.Request("$JS.API.STREAM.CREATE.sio", []byte(`{"name":"sio","subjects":["sio.l.>"],"storage":"memory","retention":"limits","discard":"old","allow_direct":true}`), patience)
	if err != nil || strings.Contains(string(m.Data), `"error"`) {
		t.Fatal(err, m)
	}
	a, b := join(t, newJetServer(s.connect(t))), join(t, newJetServer(s.connect(t)))
	eventually(t, "it is told", func() bool {
		return a.toldOf("the stream has other settings than sioplug needs: stream sio, republish")
	})
	eventually(t, "they know each other", func() bool { return len(a.cluster.Status().Members) == 1 && len(b.cluster.Status().Members) == 1 })
	a.publish("outside of the stream")
	b.expect("outside of the stream")
}

// Strangers can neither forge the number of a message nor stop the reader.
func TestGarbageInTheStream(t *testing.T) {
	t.Parallel()
	s := startPrepared(t)
	a, b := join(t, newJetServer(s.connect(t))), join(t, newJetServer(s.connect(t)))
	whole(t, a, b)
	nc := s.connect(t)
	for _, m := range []*nats.Msg{
		{Subject: "sio.l./", Data: []byte("garbage")},
		{Subject: "sio.l./", Data: []byte(`{"type":3,"uid":"x","nsp":"/other"}`), Header: nats.Header{"Nats-Sequence": {"999999"}}},
		{Subject: "sio.l.=", Data: []byte("no fence")},
		{Subject: "sio.l./unknown", Data: nil},
		{Subject: "sio.l./.x", Data: nil},
		{Subject: "sio.k./", Data: []byte("without a number")},
	} {
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	const refused = 4
	eventually(t, "it is refused", func() bool { return b.cluster.Status().Refused == refused })
	a.publish("next")
	b.expect("next")
	if st := b.cluster.Status(); st.Gaps > 0 || !st.Healthy {
		t.Errorf("status %+v", st)
	}
}
