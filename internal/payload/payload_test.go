package payload_test

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
)

func text(s string) *frame.Frame   { return frame.Text(append(frame.Buffer(len(s)), s...)) }
func binary(s string) *frame.Frame { return frame.Binary(append(frame.Buffer(len(s)), s...)) }

func TestAppend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		frames []*frame.Frame
		want   string
	}{
		{"EIO-ENC-1", []*frame.Frame{text("4hello")}, "4hello"},
		{"EIO-ENC-2 empty binary is still binary", []*frame.Frame{text("4"), binary(""), text("442")}, "4\x1eb\x1e442"},
		{"EIO-ENC-4", []*frame.Frame{binary("\x01\x02\x03\x04")}, "bAQIDBA=="},
		{"EIO-ENC-6", []*frame.Frame{text("4a"), text("2"), text("4b")}, "4a\x1e2\x1e4b"},
		{"EIO-ENC-7 bytes, not characters", []*frame.Frame{text("4é€😀")}, "4é€😀"},
		{"control frames stay out", []*frame.Frame{frame.Pong(nil), text("4a"), frame.Close(0, "")}, "4a"},
		{"none", nil, ""},
	} {
		if got := string(payload.Append(nil, c.frames)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// packets reads everything up to the first error.
func packets(p string) (got []payload.Packet, err error) {
	for r := payload.NewReader([]byte(p)); r.More(); {
		pkt, err := r.Next()
		if err != nil {
			return got, err
		}
		got = append(got, pkt)
	}
	return got, nil
}

func msg(s string) payload.Packet {
	return payload.Packet{Type: payload.Message, Data: []byte(s)}
}

func bin(s string) payload.Packet {
	return payload.Packet{Type: payload.Message, Binary: true, Data: []byte(s)}
}

func TestReader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     []payload.Packet
		err      error
	}{
		{"EIO-DEC-1", "4hello", []payload.Packet{msg("hello")}, nil},
		{"EIO-DEC-1 type alone", "4", []payload.Packet{msg("")}, nil},
		{"EIO-PKT-0..6, EIO-DEC-1 all types", "0\x1e1\x1e2probe\x1e3probe\x1e4test\x1e5\x1e6", []payload.Packet{
			{Type: payload.Open, Data: []byte{}},
			{Type: payload.Close, Data: []byte{}},
			{Type: payload.Ping, Data: []byte("probe")},
			{Type: payload.Pong, Data: []byte("probe")},
			msg("test"),
			{Type: payload.Upgrade, Data: []byte{}},
			{Type: payload.Noop, Data: []byte{}},
		}, nil},
		{"EIO-DEC-2", "bAQIDBA==", []payload.Packet{bin("\x01\x02\x03\x04")}, nil},
		{"EIO-DEC-2 no padding", "bAQIDBA", []payload.Packet{bin("\x01\x02\x03\x04")}, nil},
		{"EIO-DEC-2 URL alphabet", "b-_8=", []payload.Packet{bin("\xfb\xff")}, nil},
		{"EIO-DEC-2 empty", "b", []payload.Packet{bin("")}, nil},
		{"EIO-DEC-2 a line break at the end, as from Java", "bAw==\n", []payload.Packet{bin("\x03")}, nil},
		{"EIO-DEC-2 lines", "bAQID\r\nBAU=\r\n\x1e4a", []payload.Packet{bin("\x01\x02\x03\x04\x05"), msg("a")}, nil},
		{"EIO-DEC-2 blanks and padding anywhere", "bAw oR\x1ebAwo= \x1ebAw=\n=", []payload.Packet{bin("\x03\n\x11"), bin("\x03\n"), bin("\x03")}, nil},
		{"EIO-DEC-2 not base64", "4a\x1eb!!", []payload.Packet{msg("a"), bin("")}, nil},
		{"EIO-DEC-3", "", nil, payload.ErrEmpty},
		{"EIO-DEC-4 7", "7", nil, payload.ErrType},
		{"EIO-DEC-4 a", "a123", nil, payload.ErrType},
		{"EIO-DEC-4 {", "{}", nil, payload.ErrType},
		{"EIO-DEC-6 stops at the first error", "4a\x1exyz\x1e4b", []payload.Packet{msg("a")}, payload.ErrType},
		{"EIO-DEC-7 consecutive separators", "4a\x1e\x1e4b", []payload.Packet{msg("a")}, payload.ErrEmpty},
		{"EIO-DEC-7 trailing separator", "4a\x1e", []payload.Packet{msg("a")}, payload.ErrEmpty},
		{"EIO-POST-7 text that is not UTF-8", "4\xff\xe9\x1e4\xe2\x82\x1e4a", []payload.Packet{msg("\ufffd\ufffd"), msg("\ufffd"), msg("a")}, nil},
		{"a type that is not UTF-8", "\xff", nil, payload.ErrType},
	} {
		got, err := packets(c.in)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	if _, err := new(payload.Reader).Next(); err == nil {
		t.Error("Next behind the end gave no error")
	}
}

// Whatever arrives is either refused or comes out of the encoder again as it
// went in, up to the spelling of base64.
func FuzzDecodePayload(f *testing.F) {
	for _, s := range []string{"4hello", "4a\x1ebAQID\x1e2", "b", "", "\x1e", "b-_8", "4\xff", "0{}\x1e6"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		first, err := packets(string(p))
		if err != nil {
			return
		}
		var frames []*frame.Frame
		for _, pkt := range first {
			if pkt.Binary {
				frames = append(frames, binary(string(pkt.Data)))
				continue
			}
			if !utf8.Valid(pkt.Data) {
				t.Fatalf("text packet that is not UTF-8: %q", pkt.Data)
			}
			frames = append(frames, text(string(pkt.Type)+string(pkt.Data)))
		}
		again, err := packets(string(payload.Append(nil, frames)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkDecodePayload(b *testing.B) {
	p := []byte("42[\"echo\",\"hello\"]\x1e42[\"echo\",\"world\"]\x1e3")
	b.ReportAllocs()
	for b.Loop() {
		for r := payload.NewReader(p); r.More(); {
			if _, err := r.Next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
