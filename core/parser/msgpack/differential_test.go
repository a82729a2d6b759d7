package msgpack_test

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/parsertest"
)

// Generated packets are the same for the official parser: it reads what we write,
// we read what it writes, and both write the same bytes.
func TestECO_MP_DifferenceToSocketIOMsgpackParser(t *testing.T) {
	t.Parallel()
	node := parsertest.Start(t, parsertest.Msgpack)
	packets := append(parsertest.Packets(2, 2000), parsertest.PacketsOfMsgpack(3, 3000)...)
	var ours [][]parsertest.Frame
	for _, p := range packets {
		ours = append(ours, []parsertest.Frame{{Binary: encode(t, pack(t, p))}})
	}
	theirs := node.Encode(packets)
	compared := 0
	for i, p := range node.Decode(ours) {
		if !reflect.DeepEqual(p, packets[i]) {
			t.Fatalf("packet %d, %v: they read %v", i, packets[i], p)
		}
		if largest := largestWhole(p.Data); largest >= 1<<63 {
			continue // the official parser may write another number
		} else if largest <= 1<<53 {
			compared++
			if !reflect.DeepEqual(ours[i], theirs[i]) {
				t.Fatalf("packet %d, %v:\n%s", i, packets[i], cmp.Diff(theirs[i], ours[i]))
			}
		}
		if got := unpack(t, theirs[i]); !reflect.DeepEqual(got, packets[i]) {
			t.Fatalf("packet %d, %v: we read %v", i, packets[i], got)
		}
	}
	if t.Logf("%d of %d packets have the same bytes", compared, len(packets)); compared < len(packets)/2 {
		t.Error("too few for a comparison")
	}
}

// What only JavaScript has is read as JSON.stringify has it, and views of bytes are
// bytes.
func TestECO_MP_2_ECO_MP_4_ECO_MP_5_OdditiesOfJavaScript(t *testing.T) {
	t.Parallel()
	for _, o := range parsertest.Start(t, parsertest.Msgpack).Oddities() {
		if got, want := unpack(t, o.Frames).Data, []any{"odd", o.Value}; !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s: got %v, want %v", o.Name, got, want)
		}
	}
}

// pack returns the form that a server hands to a parser.
func pack(t *testing.T, p parsertest.Packet) *parser.Packet {
	t.Helper()
	k := &parser.Packet{Type: parser.Type(p.Type), Namespace: p.Namespace, ID: p.ID, HasID: p.HasID}
	var err error
	switch {
	case p.Data == nil:
	case p.Type == packet.Event:
		name, args := p.Event()
		k.Data, k.Attachments, err = packet.AppendEventData(nil, nil, name, args)
	case p.Type == packet.Ack:
		list, _ := p.Data.([]any)
		k.Data, k.Attachments, err = packet.AppendAckData(nil, nil, list)
	default:
		k.Data, err = packet.AppendValue(nil, nil, p.Data)
	}
	if err != nil {
		t.Fatalf("encoding %v: %v", p, err)
	}
	return k
}

func unpack(t *testing.T, frames []parsertest.Frame) parsertest.Packet {
	t.Helper()
	k, err := decode(frames[0].Binary)
	if err != nil {
		t.Fatalf("decoding %x: %v", frames[0].Binary, err)
	}
	built, err := build(k)
	if err != nil {
		t.Fatalf("decoding %s: %v", describe(k), err)
	}
	p := parsertest.Packet{Type: packet.Type(k.Type), Namespace: k.Namespace, ID: k.ID, HasID: k.HasID}
	switch {
	case k.Type == parser.Event:
		p.Data = append([]any{string(built.Name)}, values(t, built)...)
	case k.Type == parser.Ack:
		p.Data = values(t, built)
	case k.Data != nil:
		if err := json.Unmarshal(k.Data, &p.Data); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// largestWhole returns the largest absolute value of the whole numbers in v. Beyond
// 2^53, JSON has fewer digits of a float than it would have as an integer, and the
// rest is zeros to us, but not to JavaScript: the bytes differ, and both peers read
// the same number. Beyond 64 bits notepack.io gives no thought to what it writes.
func largestWhole(v any) (largest float64) {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) {
			return math.Abs(v)
		}
	case []any:
		for _, e := range v {
			largest = max(largest, largestWhole(e))
		}
	case map[string]any:
		for _, e := range v {
			largest = max(largest, largestWhole(e))
		}
	}
	return largest
}
