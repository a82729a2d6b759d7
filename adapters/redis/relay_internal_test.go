package redisadapter

import (
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// A taker notes which packets come.
type taker struct {
	cluster.Inbound

	got []cluster.Type
}

func (k *taker) Receive(p *cluster.Packet) { k.got = append(k.got, p.Type) }
func (k *taker) Refused(error)             { k.got = append(k.got, 0) }

// Relayed data comes at once, although entries of a stream, or packets of other channels, that
// were sent before it have not come. An answer waits for them.
func TestRelayedDataIsNotHeldBack(t *testing.T) {
	t.Parallel()
	relay := &cluster.Packet{Type: cluster.Relayed, From: sender, To: "go23456789abcdeg", Namespace: "/", Bytes: []byte("x")}
	answer := &cluster.Packet{Type: cluster.FetchSocketsResponse, From: sender, To: relay.To, Namespace: "/", RequestID: "1", Reply: new(adapter.Reply)}
	to := target{"/", ofResponses}
	t.Run("streams", func(t *testing.T) {
		t.Parallel()
		in := new(taker)
		o := StreamsOptions{StreamName: "stream", ChannelPrefix: "prefix", StreamCount: 1}
		s := newStreams(nil, o, newStreamLogs(nil, func(string) string { return "stream" }, "", 1))
		s.in, s.order = in, newSequencer(in.Receive, s.since, s.keys...)
		defer s.order.close()
		s.last["stream"] = lastEntry{entryID{Major: 1 << 40}, time.Now()} // which no reader has come to
		for _, p := range []*cluster.Packet{answer, relay} {
			s.unknown = false
			if _, _, err := s.encode(t.Context(), nil, p); err != nil {
				t.Fatal(err)
			}
			s.deliver(to, []byte("channel"), s.scratch)
		}
		if len(in.got) != 1 || in.got[0] != cluster.Relayed {
			t.Errorf("got %v", in.got)
		}
		s.unknown = true // entries of the same batch have no id yet
		if _, _, err := s.encode(t.Context(), []byte("entries"), relay); err != nil {
			t.Error(err)
		}
	})
	t.Run("sharded", func(t *testing.T) {
		t.Parallel()
		in := new(taker)
		s := &sharded{order: newSequencer(in.Receive, func(uint32) (time.Time, bool) { return time.Time{}, true })}
		defer s.order.close()
		s.in = in
		before := mark{seq: 9, before: []use{{channel: 7, seq: 8}}} // which has not come
		for _, p := range []*cluster.Packet{answer, relay} {
			payload, err := cluster.AppendMessagePack(nil, p)
			if err != nil {
				t.Fatal(err)
			}
			if p == relay {
				before = mark{}
			}
			s.deliver(to, []byte("channel"), before.appendTo(payload))
		}
		if len(in.got) != 1 || in.got[0] != cluster.Relayed {
			t.Errorf("got %v", in.got)
		}
	})
}
