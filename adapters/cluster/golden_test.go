package cluster_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/captures"
)

// What the official adapters and emitters send is understood, and the same packet is sent
// as the same message: in most cases, byte for byte.
//
//nolint:tparallel // the subtests are short, and count together
func TestGoldenCAP_SH_CAP_ST_CAP_SE(t *testing.T) {
	t.Parallel()
	same := 0
	rows := captures.Rows(t, "redis-sharded", "redis-sharded-dynamic-private", "redis-sharded-static", "redis-streams",
		"redis-streams-count2", "redis-streams-plaintext", "redis-streams-sharded", "redis-streams-emitter")
	for _, r := range rows {
		t.Run(r.ID+" "+r.Operation, func(t *testing.T) {
			in := r.Bytes(t)
			decode, encodeJSON, encodeMessagePack := cluster.Decode, cluster.AppendJSON, cluster.AppendMessagePack
			want := r.Decoded
			if r.Command == "XADD" {
				typ := cluster.Type(r.Number(t, "type"))
				decode = func(b []byte) (*cluster.Packet, error) {
					return cluster.DecodeData(typ, r.Field("uid"), r.Field("nsp"), b)
				}
				encodeJSON, encodeMessagePack = cluster.AppendDataJSON, cluster.AppendDataMessagePack
				want = map[string]any{"type": float64(typ), "uid": r.Field("uid"), "nsp": r.Field("nsp"), "data": r.Decoded}
			}
			p, err := decode(bytes.Clone(in))
			if err != nil {
				t.Fatal(err)
			}
			want = withoutNamespace(captures.Normal(want))
			if diff := cmp.Diff(want, captures.Normal(captures.Shape(t, p))); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
			binary := in[0] != '{'
			if p.HasBinary() != strings.Contains(string(mustJSON(t, r.Decoded)), "<bin ") {
				t.Errorf("HasBinary reports %t", p.HasBinary())
			}
			encode, read := encodeJSON, captures.FromJSON
			if binary {
				encode, read = encodeMessagePack, captures.FromMessagePack
			}
			out, err := encode([]byte("before"), p)
			if err != nil {
				t.Fatal(err)
			}
			out = out[len("before"):]
			if bytes.Equal(in, out) {
				same++
				return
			}
			got := read(t, out)
			if r.Command == "XADD" {
				got = map[string]any{"type": float64(p.Type), "uid": p.From, "nsp": p.Namespace, "data": got}
			}
			if diff := cmp.Diff(want, captures.Normal(got)); diff != "" {
				t.Errorf("encoded (-want +got):\n%s", diff)
			}
		})
	}
	if same < 139 {
		t.Errorf("only %d of %d messages are the same, byte for byte", same, len(rows))
	}
}

// withoutNamespace removes the namespace from the packets of broadcasts of emitters.
func withoutNamespace(v any) any {
	if data, ok := v.(map[string]any)["data"].(map[string]any); ok {
		if packet, ok := data["packet"].(map[string]any); ok && packet["type"] != nil {
			delete(packet, "nsp")
		}
	}
	return v
}
