package payload_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	validtext "github.com/sioplug/sioplug/internal/text"
)

// binary3 and base643 are a binary message as the frame that a client of
// revision 3 gets, with and without base64.
func binary3(s string) *frame.Frame {
	return frame.Binary(payload.AppendBinaryV3(frame.Buffer(1+len(s)), []byte(s)))
}

func base643(s string) *frame.Frame {
	return frame.Text(payload.AppendBase64V3(frame.Buffer(2+len(s)), []byte(s)))
}

func TestAppendV3(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		frames []*frame.Frame
		want   string
		octets bool
	}{
		{"EIO-V3-2", []*frame.Frame{text("4hello")}, "6:4hello", false},
		{"EIO-V3-2 several", []*frame.Frame{text("4test1"), text("3"), text("4test3")}, "6:4test11:36:4test3", false},
		{"EIO-V3-2 UTF-16 code units", []*frame.Frame{text("4é€😀")}, "5:4é€😀", false},
		{"EIO-V3-2 the last of one unit, the first of two", []*frame.Frame{text("4\uffff"), text("4\U00010000")}, "2:4\uffff3:4\U00010000", false},
		{"EIO-V3-3", []*frame.Frame{text("4hello"), base643("\x01\x02\x03\x04")}, "6:4hello10:b4AQIDBA==", false},
		{"EIO-V3-3 empty binary", []*frame.Frame{base643("")}, "2:b4", false},
		{"EIO-V3-5", []*frame.Frame{text("4€"), binary3("\x01\x02\x03\x04")}, "\x00\x04\xff4€\x01\x05\xff\x04\x01\x02\x03\x04", true},
		{"EIO-V3-5 a byte for each digit", []*frame.Frame{binary3(strings.Repeat("a", 119))}, "\x01\x01\x02\x00\xff\x04" + strings.Repeat("a", 119), true},
		{"EIO-V3-6 empty binary", []*frame.Frame{binary3("")}, "\x01\x01\xff\x04", true},
		{"EIO-V3-7 no binary", []*frame.Frame{text("4a"), text("6")}, "2:4a1:6", false},
		{"EIO-V3-8", nil, "0:", false},
		{"control frames stay out", []*frame.Frame{frame.Pong(nil), text("4a"), frame.Close(0, "")}, "2:4a", false},
		{"nothing but control frames", []*frame.Frame{frame.Pong(nil)}, "0:", false},
		{"control frames stay out of binary", []*frame.Frame{binary3("a"), frame.Close(0, "")}, "\x01\x02\xff\x04a", true},
		{"EIO-V3-19 what is not UTF-8 counts as U+FFFD", []*frame.Frame{text("4\xff")}, "2:4\xff", false},
	} {
		got, octets := payload.AppendV3(nil, c.frames)
		if string(got) != c.want || octets != c.octets {
			t.Errorf("%s: got %q, %v, want %q, %v", c.name, got, octets, c.want, c.octets)
		}
	}
}

// packets3 reads everything up to the first error.
func packets3(p []byte, octets bool) (got []payload.Packet, err error) {
	for r := payload.NewReaderV3(p, octets); r.More(); {
		pkt, err := r.Next()
		if err != nil {
			return got, err
		}
		got = append(got, pkt)
	}
	return got, nil
}

type readerCase struct {
	name, in string
	want     []payload.Packet
	err      error
}

func testReaderV3(t *testing.T, octets bool, cases []readerCase) {
	t.Helper()
	for _, c := range cases {
		got, err := packets3([]byte(c.in), octets)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestReaderV3Text(t *testing.T) {
	t.Parallel()
	a := []payload.Packet{msg("a")}
	testReaderV3(t, false, []readerCase{
		{"EIO-V3-2", "6:4hello", []payload.Packet{msg("hello")}, nil},
		{"EIO-V3-2 several", "2:4a1:26:2probe", []payload.Packet{
			msg("a"), {Type: payload.Ping, Data: []byte{}}, {Type: payload.Ping, Data: []byte("probe")},
		}, nil},
		{"EIO-V3-2 UTF-16 code units", "5:4é€😀2:4b", []payload.Packet{msg("é€😀"), msg("b")}, nil},
		{"EIO-V3-2 a colon in a packet", "4:42:a2:4b", []payload.Packet{msg("2:a"), msg("b")}, nil},
		{"EIO-V3-3", "10:b4AQIDBA==", []payload.Packet{bin("\x01\x02\x03\x04")}, nil},
		{"EIO-V3-3 empty", "2:b4", []payload.Packet{bin("")}, nil},
		{"EIO-V3-3 another type", "2:b2", []payload.Packet{{Type: payload.Ping, Binary: true, Data: []byte{}}}, nil},
		{"EIO-V3-3 no type", "2:4a1:b", a, payload.ErrType},
		{"EIO-V3-3 bad type", "2:4a2:b7", a, payload.ErrType},
		{"EIO-V3-3 type as in revision 4", "9:bAQIDBA==", nil, payload.ErrType},
		{"EIO-V3-3 not base64", "4:b4!!2:4a", []payload.Packet{bin(""), msg("a")}, nil},
		{"EIO-V3-3 a line break at the end, as from Java", "7:b4Aw==\n2:4a", []payload.Packet{bin("\x03"), msg("a")}, nil},
		{"EIO-V3-8", "0:", nil, nil},
		{"EIO-V3-8 among others", "0:2:4a0:0:2:4b0:", []payload.Packet{msg("a"), msg("b")}, nil},
		{"EIO-V3-10 empty", "", nil, payload.ErrEmpty},
		{"EIO-V3-10 missing digits", ":4a", nil, payload.ErrLength},
		{"EIO-V3-10 missing digits later", "2:4a:4b", a, payload.ErrLength},
		{"EIO-V3-10 not a number", "2:4ax:4b", a, payload.ErrLength},
		{"EIO-V3-10 number with something else", "1a:4b", nil, payload.ErrLength},
		{"EIO-V3-10 negative", "-1:4", nil, payload.ErrLength},
		{"EIO-V3-10 fraction", "1.0:4", nil, payload.ErrLength},
		{"EIO-V3-10 beyond the data", "2:4a3:4b", a, payload.ErrLength},
		{"EIO-V3-10 beyond the data in code units", "4:4é", nil, payload.ErrLength},
		{"EIO-V3-10 beyond all numbers", strings.Repeat("9", 400) + ":4a", nil, payload.ErrLength},
		{"EIO-V3-10 trailing digits", "2:4a12", a, payload.ErrLength},
		{"EIO-V3-10 no colon at all", "abc", nil, payload.ErrLength},
		{"EIO-V3-10 nothing behind the first error", "2:4a2:xb2:4c", a, payload.ErrType},
		{"EIO-V3-19 half of a surrogate pair", "2:4😀", nil, payload.ErrLength},
		{"EIO-V3-19 text that is not UTF-8", "3:4\xff\xe92:4\xe2\x822:4a", []payload.Packet{msg("\ufffd\ufffd"), msg("\ufffd"), msg("a")}, nil},
		{"leading zeros", "002:4a", a, nil},
	})
}

func TestReaderV3Binary(t *testing.T) {
	t.Parallel()
	a := []payload.Packet{msg("a")}
	testReaderV3(t, true, []readerCase{
		{"EIO-V3-5", "\x00\x04\xff4€\x01\x05\xff\x04\x01\x02\x03\x04", []payload.Packet{msg("€"), bin("\x01\x02\x03\x04")}, nil},
		{"EIO-V3-5 two digits", "\x01\x01\x02\xff\x0412345678901", []payload.Packet{bin("12345678901")}, nil},
		{"EIO-V3-6 empty message", "\x01\x01\xff\x04", []payload.Packet{bin("")}, nil},
		{"EIO-V3-6 another type", "\x01\x01\xff\x02", []payload.Packet{{Type: payload.Ping, Binary: true, Data: []byte{}}}, nil},
		{"EIO-V3-6 bad type", "\x00\x02\xff4a\x01\x01\xff\x07", a, payload.ErrType},
		{"EIO-V3-6 type as a character", "\x01\x02\xff4a", nil, payload.ErrType},
		{"EIO-V3-3 base64 as text", "\x00\x06\xffb4AQID", []payload.Packet{bin("\x01\x02\x03")}, nil},
		{"EIO-V3-8", "", nil, nil},
		{"EIO-V3-11 truncated (better: refused)", "\x00\x02\xff4a\x01\x05\xff\x04\x01", a, payload.ErrLength},
		{"EIO-V3-11 too many digits", "\x00" + strings.Repeat("\x09", 400) + "\xff4a", nil, payload.ErrLength},
		{"EIO-V3-11 no end of the length", "\x00\x02", nil, payload.ErrLength},
		{"EIO-V3-11 no length", "\x00\xff4a", nil, payload.ErrLength},
		{"EIO-V3-11 nothing but a kind", "\x01", nil, payload.ErrLength},
		{"EIO-V3-11 digit above 9", "\x00\x0a\xff4aaaaaaaaa", nil, payload.ErrLength},
		{"EIO-V3-11 digit as a character", "\x002\xff4a", nil, payload.ErrLength},
		{"EIO-V3-11 unknown kind", "\x02\x02\xff4a", nil, payload.ErrLength},
		{"EIO-V3-11 empty text", "\x00\x00\xff", nil, payload.ErrEmpty},
		{"EIO-V3-11 empty binary", "\x01\x00\xff", nil, payload.ErrEmpty},
		{"EIO-V3-13 text that is not UTF-8", "\x00\x04\xff4\xed\xa0\xbd", []payload.Packet{msg("\ufffd\ufffd\ufffd")}, nil},
	})
}

func TestReaderV3Unended(t *testing.T) {
	t.Parallel()
	for _, octets := range []bool{false, true} {
		r := payload.NewReaderV3([]byte("x"), octets)
		for range 2 {
			if _, err := r.Next(); err == nil {
				t.Error("Next gave no error")
			}
		}
		if r.More() {
			t.Error("there is more behind an error")
		}
	}
}

func TestDecodeBinaryV3(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     payload.Packet
		err      error
	}{
		{"EIO-V3-12", "\x04\x01\x02", bin("\x01\x02"), nil},
		{"EIO-V3-12 type alone", "\x04", bin(""), nil},
		{"EIO-V3-12 all types", "\x06", payload.Packet{Type: payload.Noop, Binary: true, Data: []byte{}}, nil},
		{"EIO-V3-12 unknown type", "\x07", payload.Packet{}, payload.ErrType},
		{"EIO-V3-12 no type", "", payload.Packet{}, payload.ErrEmpty},
	} {
		got, err := payload.DecodeBinaryV3([]byte(c.in))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// A length costs nothing but the bytes that claim it.
func TestReaderV3Allocations(t *testing.T) {
	for _, c := range []struct {
		in     string
		octets bool
	}{
		{"999999999:4a", false},
		{"6:4hello6:4hello", false},
		{"\x00\x09\x09\x09\x09\x09\x09\x09\xff4a", true},
		{"\x00\x06\xff4hello\x01\x06\xff\x04hello", true},
	} {
		in := []byte(c.in)
		allocs := testing.AllocsPerRun(100, func() {
			for r := payload.NewReaderV3(in, c.octets); r.More(); {
				if _, err := r.Next(); err != nil {
					return
				}
			}
		})
		if allocs != 0 {
			t.Errorf("%q: %v allocations", c.in, allocs)
		}
	}
}

// frames3 returns packets as frames of revision 3. Only messages are sent as
// binary; other types that came so are left out.
func frames3(pkts []payload.Packet, inBase64 bool) (frames []*frame.Frame, sent []payload.Packet) {
	for _, p := range pkts {
		switch {
		case !p.Binary:
			frames = append(frames, text(string(rune(p.Type))+string(p.Data)))
		case p.Type != payload.Message:
			continue
		case inBase64:
			frames = append(frames, base643(string(p.Data)))
		default:
			frames = append(frames, binary3(string(p.Data)))
		}
		sent = append(sent, p)
	}
	return frames, sent
}

// bothWays checks that packets which were decoded come out of either form of
// payload as they are.
func bothWays(t *testing.T, pkts []payload.Packet) {
	t.Helper()
	for _, inBase64 := range []bool{false, true} {
		frames, sent := frames3(pkts, inBase64)
		p, octets := payload.AppendV3(nil, frames)
		if inBase64 && octets {
			t.Fatalf("%q is not text", p)
		}
		again, err := packets3(p, octets)
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		if diff := cmp.Diff(sent, again); diff != "" {
			t.Fatalf("%q: %s", p, diff)
		}
	}
}

// model splits a text payload as the reference does, in a string of UTF-16 code
// units, with the deliberate differences that lengths are decimal digits and
// that a packet ends between two characters.
func model(p string) (packets []string, ok bool) {
	data := utf16.Encode([]rune(p))
	if len(data) == 0 {
		return nil, false
	}
	for len(data) > 0 {
		colon := slices.Index(data, ':')
		if colon <= 0 || strings.Trim(string(utf16.Decode(data[:colon])), "0123456789") != "" {
			return packets, false
		}
		n, err := strconv.Atoi(string(utf16.Decode(data[:colon])))
		data = data[colon+1:]
		if err != nil || n > len(data) || n > 0 && n < len(data) && utf16.IsSurrogate(rune(data[n])) && data[n] >= 0xDC00 {
			return packets, false
		}
		if n > 0 {
			packets = append(packets, string(utf16.Decode(data[:n])))
		}
		data = data[n:]
	}
	return packets, true
}

func FuzzDecodePayloadV3Text(f *testing.F) {
	for _, s := range []string{
		"6:4hello", "6:4hello10:b4AQIDBA==", "5:4é€😀2:4b", "2:4😀", "0:", "", "0:2:4a0:", ":4", "2:4a12", "abc",
		"2:b2", "00000000000000000000002:4a", "99999999999999999999:4", "1:21:31:6", "2:4\xff", "3:4::2:4a",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		got, err := packets3(p, false)
		compare(t, validtext.Valid(p), got, err)
		bothWays(t, got)
	})
}

// compare checks a text payload against the model.
func compare(t *testing.T, p []byte, got []payload.Packet, err error) {
	t.Helper()
	pieces, ok := model(string(p))
	var want []payload.Packet
	for _, piece := range pieces {
		pkt, bad := payload.DecodeV3([]byte(piece))
		if bad != nil {
			ok = false
			break
		}
		want = append(want, pkt)
	}
	if ok != (err == nil) {
		t.Fatalf("error %v, but the model says %v", err, ok)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func FuzzDecodePayloadV3Binary(f *testing.F) {
	for _, s := range []string{
		"\x00\x04\xff4€\x01\x05\xff\x04\x01\x02\x03\x04", "\x01\x01\x02\xff\x0412345678901", "", "\x00", "\x01\xff",
		"\x00\x06\xffb4AQID", "\x01\x05\xff\x04\x01", "\x00\x00\xff", "\x02\x02\xff4a", "\x01\x01\xff\x02",
		"\x00\x00\x00\x02\xff4a", "\x00\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff4a",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		got, err := packets3(p, true)
		size := 0
		for _, pkt := range got {
			size += 1 + len(bytes.ReplaceAll(pkt.Data, []byte("\ufffd"), []byte("x")))
		}
		if size > len(p) {
			t.Fatalf("%d bytes of packets out of %d", size, len(p))
		}
		bothWays(t, got)
		if err == nil {
			canonical(t, p, got)
		}
	})
}

// canonical checks that a payload without base64, without superfluous zeros and
// with a binary message in it is exactly what the encoder makes of its packets.
func canonical(t *testing.T, p []byte, pkts []payload.Packet) {
	t.Helper()
	frames, sent := frames3(pkts, false)
	again, octets := payload.AppendV3(nil, frames)
	if bytes.Contains(again, []byte("\ufffd")) {
		return // which may stand for anything
	}
	if octets && len(sent) == len(pkts) && len(again) == len(p) && !bytes.Equal(again, p) {
		t.Fatalf("got %q", again)
	}
}

func BenchmarkDecodePayloadV3(b *testing.B) {
	p := []byte("18:42[\"echo\",\"hello\"]18:42[\"echo\",\"world\"]1:2")
	b.ReportAllocs()
	for b.Loop() {
		for r := payload.NewReaderV3(p, false); r.More(); {
			if _, err := r.Next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// The two ways to send binary to a client of revision 3 agree with the standard
// library's base64.
func TestAppendBase64V3(t *testing.T) {
	t.Parallel()
	for n := range 10 {
		data := bytes.Repeat([]byte{0xfb}, n)
		want := "b4" + base64.StdEncoding.EncodeToString(data)
		if got := string(payload.AppendBase64V3(nil, data)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
