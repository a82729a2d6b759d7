package redisadapter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/captures"
)

// What the official adapter and emitter send is understood, and the same packet is sent as
// the same message: in most cases, byte for byte.
//
//nolint:tparallel // the subtests are short, and count together
func TestGoldenCAP_RC_CAP_RCS_CAP_RE(t *testing.T) {
	t.Parallel()
	same := 0
	rows := captures.Rows(t, "redis-classic", "redis-classic-specific", "redis-emitter")
	for _, r := range rows {
		t.Run(r.ID+" "+r.Operation, func(t *testing.T) {
			in := r.Bytes(t)
			decode := decodeClassic
			if strings.Contains(r.Channel, "-response#") {
				decode = decodeClassicResponse
			}
			p, err := decode(bytes.Clone(in))
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(r.Operation, "allRooms") && strings.Contains(r.Channel, "-response#") {
				if p != nil {
					t.Errorf("got %+v for what nobody asked", p)
				}
				return
			}
			if diff := different(asCluster(t, &r), captures.Normal(captures.Shape(t, p))); diff != "" {
				t.Errorf("decoded: %s", diff)
			}
			out, err := appendClassic([]byte("before"), p)
			if err != nil {
				t.Fatal(err)
			}
			out = out[len("before"):]
			if strings.HasPrefix(r.Operation, "allRooms") { // this module never asks
				return
			}
			if bytes.Equal(in, out) {
				same++
				return
			}
			read := captures.FromJSON
			if in[0] != '{' {
				read = captures.FromMessagePack
			}
			if diff := different(captures.Normal(r.Decoded), captures.Normal(read(t, out))); diff != "" {
				t.Errorf("encoded: %s", diff)
			}
		})
	}
	if same < 62 {
		t.Errorf("only %d of %d messages are the same, byte for byte", same, len(rows))
	}
}

func different(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	w, _ := json.Marshal(want)
	g, _ := json.Marshal(got)
	return fmt.Sprintf("\ngot  %s\nwant %s", g, w)
}

// asCluster returns what a row means in the form of the cluster adapters.
func asCluster(t *testing.T, r *captures.Row) any {
	t.Helper()
	data := make(map[string]any)
	out := map[string]any{"data": data}
	if list, ok := r.Decoded.([]any); ok {
		packet := object(t, list[1])
		out["type"], out["uid"], out["nsp"] = float64(cluster.Broadcast), list[0], packet["nsp"]
		data["packet"], data["opts"] = map[string]any{"type": 2.0, "data": packet["data"]}, list[2]
		return captures.Normal(out)
	}
	m := object(t, r.Decoded)
	for k, v := range m {
		switch k {
		case "uid":
			out[k] = v
		case "type":
		case "opts":
			opts := map[string]any{"flags": map[string]any{}}
			maps.Copy(opts, object(t, v))
			data[k] = opts
		case "packet":
			data[k] = v
			if packet, ok := v.(map[string]any); ok && m["type"] == 7.0 {
				out["nsp"] = packet["nsp"]
				data[k] = map[string]any{"type": 2.0, "data": packet["data"]}
			}
		case "data":
			data["packet"] = v
		default:
			data[k] = v
		}
	}
	response := strings.Contains(r.Channel, "-response#")
	switch t := m["type"]; {
	case t == nil:
		out["type"] = float64(cluster.FetchSocketsResponse)
	case t == 1.0:
		out["type"], data["requestId"] = float64(cluster.FetchSockets), fmt.Sprint(classicRoomNames, m["requestId"])
		data["opts"] = map[string]any{"flags": map[string]any{}, "rooms": []any{}, "except": []any{}}
	case t == 6.0 && response:
		out["type"] = float64(cluster.ServerSideEmitResponse)
	default:
		types := map[any]cluster.Type{
			2.0: cluster.SocketsJoin, 3.0: cluster.SocketsLeave, 4.0: cluster.DisconnectSockets, 5.0: cluster.FetchSockets,
			6.0: cluster.ServerSideEmit, 7.0: cluster.Broadcast, 8.0: cluster.BroadcastClientCount, 9.0: cluster.BroadcastAck,
		}
		out["type"] = float64(types[t])
	}
	return captures.Normal(out)
}

func object(t *testing.T, v any) map[string]any {
	t.Helper()
	m, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%v is no object", v)
	}
	return m
}
