package packet_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/parsertest"
)

// Generated packets are the same for the official parser: it reads what we write,
// we read what it writes, and both write the same bytes.
func TestDifferenceToSocketIOParser(t *testing.T) {
	t.Parallel()
	node := parsertest.Start(t, parsertest.Standard)
	packets := parsertest.Packets(1, 4000)
	var ours [][]parsertest.Frame
	for _, p := range packets {
		ours = append(ours, encodeFrames(t, p))
	}
	theirs := node.Encode(packets)
	for i, p := range node.Decode(ours) {
		if !reflect.DeepEqual(p, packets[i]) {
			t.Fatalf("packet %d, %v: they read %v", i, packets[i], p)
		}
		if !reflect.DeepEqual(ours[i], theirs[i]) {
			t.Fatalf("packet %d, %v:\n%s", i, packets[i], cmp.Diff(theirs[i], ours[i]))
		}
		if got := decodeFrames(t, theirs[i]); !reflect.DeepEqual(got, packets[i]) {
			t.Fatalf("packet %d, %v: we read %v", i, packets[i], got)
		}
	}
}

// SIO-ENC-8: what only JavaScript has is read as JSON.stringify has it.
func TestSIO_ENC_8_OdditiesOfJavaScript(t *testing.T) {
	t.Parallel()
	for _, o := range parsertest.Start(t, parsertest.Standard).Oddities() {
		if got, want := decodeFrames(t, o.Frames).Data, []any{"odd", o.Value}; !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s: got %v, want %v", o.Name, got, want)
		}
	}
}

func encodeFrames(t *testing.T, p parsertest.Packet) []parsertest.Frame {
	t.Helper()
	h := packet.Header{Namespace: p.Namespace, ID: p.ID, HasID: p.HasID}
	var text, data []byte
	var attachments [][]byte
	var err error
	switch p.Type {
	case packet.Connect:
		if p.Data != nil {
			data, err = packet.AppendValue(nil, nil, p.Data)
		}
		text = packet.AppendConnect(nil, p.Namespace, data)
	case packet.Disconnect:
		text = packet.AppendDisconnect(nil, p.Namespace)
	case packet.Event:
		name, args := p.Event()
		text, attachments, err = packet.AppendEvent(nil, nil, h, name, args)
	case packet.Ack:
		list, _ := p.Data.([]any)
		text, attachments, err = packet.AppendAck(nil, nil, h, list)
	case packet.ConnectError:
		text, err = packet.AppendConnectError(nil, nil, p.Namespace, p.Data)
	}
	if err != nil {
		t.Fatalf("encoding %v: %v", p, err)
	}
	if p.Type == packet.Connect || p.Type == packet.ConnectError {
		text = unescapeSeparators(text)
	}
	frames := []parsertest.Frame{{Text: string(text)}}
	for _, a := range attachments {
		frames = append(frames, parsertest.Frame{Binary: a})
	}
	return frames
}

// unescapeSeparators writes two characters as JavaScript does. encoding/json, which
// encodes what has no attachments, insists on escapes for them.
func unescapeSeparators(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte(`\u2028`), []byte("\u2028"))
	return bytes.ReplaceAll(text, []byte(`\u2029`), []byte("\u2029"))
}

func decodeFrames(t *testing.T, frames []parsertest.Frame) parsertest.Packet {
	t.Helper()
	attachments := make([][]byte, 0, len(frames))
	for _, f := range frames[1:] {
		attachments = append(attachments, f.Binary)
	}
	k, err := receive(new(packet.Decoder), frames[0].Text, attachments...)
	if err != nil {
		t.Fatalf("decoding %v: %v", frames, err)
	}
	p := parsertest.Packet{Type: k.Type, Namespace: k.Namespace, ID: k.ID, HasID: k.HasID}
	values, err := decodeAll(k.Args)
	switch {
	case k.Type == packet.Event:
		p.Data = append([]any{string(k.Name)}, values...)
	case k.Type == packet.Ack:
		p.Data = values
	case k.Data != nil:
		err = json.Unmarshal(k.Data, &p.Data)
	}
	if err != nil {
		t.Fatalf("decoding %v: %v", frames, err)
	}
	return p
}
