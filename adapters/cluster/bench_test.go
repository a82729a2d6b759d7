package cluster_test

import (
	"bytes"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/benchdata"
)

// broadcasts returns broadcasts of about 1 KiB to a room.
func broadcasts(tb testing.TB) map[string]*cluster.Packet {
	tb.Helper()
	packet := func(data string, attachments ...[]byte) *cluster.Packet {
		m := message(data, attachments...)
		m.Target = adapter.Target{Rooms: []string{"room1"}}
		return &cluster.Packet{Type: cluster.Broadcast, From: "go12345678901234", Namespace: "/", Message: m}
	}
	return map[string]*cluster.Packet{
		"small": packet(`["message","hello"]`),
		"1KiB":  packet(`["page",` + string(bytes.TrimSpace(mustJSON(tb, benchdata.NewPage()))) + "]"),
		"bytes": packet(`["file",{"_placeholder":true,"num":0}]`, make([]byte, 1024)),
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, p := range broadcasts(b) {
		for form, f := range map[string]func([]byte, *cluster.Packet) ([]byte, error){"JSON": cluster.AppendJSON, "MessagePack": cluster.AppendMessagePack} {
			if form == "JSON" && p.HasBinary() {
				continue
			}
			b.Run(form+"/"+name, func(b *testing.B) {
				dst := make([]byte, 0, 4096)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := f(dst, p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, p := range broadcasts(b) {
		for form, f := range map[string]func([]byte, *cluster.Packet) ([]byte, error){"JSON": cluster.AppendJSON, "MessagePack": cluster.AppendMessagePack} {
			in, err := f(nil, p)
			if err != nil {
				continue
			}
			b.Run(form+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(in)))
				for b.Loop() {
					if _, err := cluster.Decode(in); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
