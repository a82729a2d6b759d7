package cluster_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/captures"
)

// mustMean fails unless two packets mean the same. Whole numbers of up to 64 bits have to
// be exact, other numbers as float64.
func mustMean(tb testing.TB, got, want *cluster.Packet) {
	tb.Helper()
	if g, w := meaning(tb, got), meaning(tb, want); !reflect.DeepEqual(g, w) {
		tb.Fatalf("got  %s\nwant %s", mustJSON(tb, g), mustJSON(tb, w))
	}
}

// A parsed is a packet with values in place of JSON.
type parsed struct {
	Packet  cluster.Packet
	Message any
	Reply   any
	Values  []any
}

func meaning(tb testing.TB, p *cluster.Packet) parsed {
	tb.Helper()
	out := parsed{Packet: *p}
	out.Packet.Message, out.Packet.Reply = nil, nil
	if p.Message != nil {
		m := *p.Message
		if m.Data != nil {
			out.Values = append(out.Values, value(tb, m.Data, m.Attachments))
		}
		m.Data, m.Attachments = nil, nil
		out.Message = m
	}
	if p.Reply != nil {
		r := *p.Reply
		if r.Ack != nil {
			a := *r.Ack
			if a.Data != nil {
				out.Values = append(out.Values, value(tb, a.Data, a.Attachments))
			}
			a.Data, a.Attachments = nil, nil
			r.Ack = &a
		}
		if r.Sockets != nil {
			r.Sockets = append(r.Sockets[:0:0], r.Sockets...)
		}
		for i := range r.Sockets {
			s := &r.Sockets[i]
			out.Values = append(out.Values, value(tb, s.Data, nil), value(tb, s.Handshake, nil))
			s.Data, s.Handshake = nil, nil
		}
		out.Reply = r
	}
	return out
}

// value returns what JSON with attachments means, with numbers in one spelling.
func value(tb testing.TB, data []byte, attachments [][]byte) any {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("%s: %v", data, err)
	}
	// What only looks like a placeholder has an escape in its name, which is lost here. So
	// the number of placeholders is compared by the attachments alone.
	all := make([]any, 0, len(attachments))
	for _, a := range attachments {
		all = append(all, captures.Binary(a))
	}
	return []any{spell(v), all}
}

func spell(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = spell(v[k])
		}
	case []any:
		for i := range v {
			v[i] = spell(v[i])
		}
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return strconv.FormatInt(i, 10)
		}
		if u, err := strconv.ParseUint(string(v), 10, 64); err == nil {
			return strconv.FormatUint(u, 10)
		}
		f, err := v.Float64()
		if err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<63 {
			return strconv.FormatInt(int64(f), 10)
		}
		if err == nil && f == math.Trunc(f) && f > 0 && f < 1<<64 {
			return strconv.FormatUint(uint64(f), 10)
		}
		return f
	}
	return v
}
