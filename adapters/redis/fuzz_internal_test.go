package redisadapter

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/captures"
)

// Whatever is accepted is a packet that is the same after it was encoded and decoded.
func FuzzDecodeClassic(f *testing.F) {
	for _, r := range captures.Rows(f, "redis-classic", "redis-emitter") {
		if !strings.Contains(r.Operation, "fetchSockets") { // which is long
			f.Add(strings.Contains(r.Channel, "-response#"), r.Bytes(f))
		}
	}
	for _, in := range []string{`{"requestId":"q0","type":0,"rooms":["r1"]}`, `{"requestId":"q2","type":2,"sid":"a","room":7}`, "\x82\xa4type\x40\xa4data\x82\xa9requestId\xa1a\xa7clients\x03"} {
		f.Add(false, []byte(in))
	}
	f.Fuzz(func(t *testing.T, response bool, in []byte) {
		decode := decodeClassic
		if response {
			decode = decodeClassicResponse
		}
		p, err := decode(in)
		if err != nil || p == nil || strings.HasPrefix(p.RequestID, classicMark) {
			return
		}
		if in[0] == '{' && json.Unmarshal(in, new(any)) != nil {
			return // a number that is out of range
		}
		if size := shape(t, p); size > 7*len(in)+1000 {
			t.Fatalf("%d bytes became %d", len(in), size)
		}
		out, err := appendClassic(nil, p)
		if err != nil {
			if strings.Contains(err.Error(), "ParseFloat") || strings.Contains(err.Error(), "unknown type") {
				return
			}
			t.Fatalf("%+v: %v", p, err)
		}
		got, err := decode(out)
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if p.From == "" && got.From == "" && p.Namespace == "" {
			got.Namespace = "" // broadcasts always have one
		}
		if g, w := captures.Shape(t, got), captures.Shape(t, p); !reflect.DeepEqual(g, w) {
			t.Fatalf("got %v, want %v", g, w)
		}
	})
}

// shape returns the size of what was decoded.
func shape(t *testing.T, p *cluster.Packet) int {
	t.Helper()
	n := len(p.From) + len(p.Namespace) + len(p.RequestID)
	if m := p.Message; m != nil {
		n += len(m.Data) - 30*len(m.Attachments)
		for _, list := range [][]string{m.Rooms, m.Target.Rooms, m.Target.Except} {
			for _, s := range list {
				n += len(s)
			}
		}
	}
	if p.Reply != nil && p.Reply.Ack != nil {
		n += len(p.Reply.Ack.Data) - 30*len(p.Reply.Ack.Attachments)
	}
	return n
}
