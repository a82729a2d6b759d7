package siotest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// TestParser tests a parser for [sio.Options.Parser]. Packets of all kinds are encoded
// and decoded, and have to be the same afterwards. Memory must not be shared, limits must
// hold, and broken packets must do no harm.
func TestParser(t *testing.T, p parser.Parser) {
	t.Helper()
	for _, tt := range []struct {
		name string
		run  func(parserSuite, *testing.T)
	}{
		{"packets", parserSuite.packets},
		{"memory", parserSuite.memory},
		{"connections", parserSuite.connections},
		{"objects that look like placeholders", parserSuite.lookalikes},
		{"attachments", parserSuite.attachments},
		{"bytes", parserSuite.bytes},
		{"broken messages", parserSuite.broken},
		{"concurrency", parserSuite.concurrency},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(parserSuite{p}, t) })
	}
}

type parserSuite struct{ parser parser.Parser }

// generous are limits that no packet of the suite reaches.
func generous() parser.Limits { return parser.Limits{MaxAttachments: 100, MaxBytes: 1e6} }

// samples returns packets of all kinds.
func samples() []*parser.Packet {
	list := []*parser.Packet{
		{Type: parser.Connect, Namespace: "/"},
		{Type: parser.Connect, Namespace: "/chat", Data: []byte(`{"token":"abc"}`)},
		{Type: parser.Connect, Namespace: "/", Data: []byte(`{}`)},
		{Type: parser.ConnectError, Namespace: "/chat", Data: []byte(`{"message":"no","data":{"code":[1]}}`)},
		{Type: parser.Disconnect, Namespace: "/"},
		{Type: parser.Disconnect, Namespace: "/chat"},
		{Type: parser.Event, Namespace: "/", Data: []byte(`["e"]`)},
		{Type: parser.Event, Namespace: "/ü b?c=1", ID: 0, HasID: true, Data: []byte(`["e",1]`)},
		{Type: parser.Event, Namespace: "/", ID: packet.MaxID, HasID: true, Data: []byte(`["e",1]`)},
		{Type: parser.Ack, Namespace: "/chat", ID: 256, HasID: true, Data: []byte(`[]`)},
		withAttachments(parser.Event, `"e",`, []byte{1, 2, 3}),
		withAttachments(parser.Event, `"e",`, []byte{}, []byte{0xff}, bytes.Repeat([]byte{7}, 70_000)),
		withAttachments(parser.Ack, ``, []byte("a"), []byte("b")),
		{
			Type: parser.Event, Namespace: "/", Attachments: [][]byte{{1}, {2}},
			Data: []byte(`["e",{"deep":[{"_placeholder":true,"num":1},{"x":{"_placeholder":true,"num":0}}]}]`),
		},
	}
	for _, value := range []string{
		`null`, `true`, `false`, `0`, `-1`, `1.5`, `127`, `128`, `65536`, `9007199254740991`, `-2147483649`, `1e-7`, `1e300`, `5e-324`,
		`""`, `"a\"\\\n\u0000é日😀\u2028"`, `"` + strings.Repeat("x", 70_000) + `"`, `[]`, `{}`, `[[],{"a":{"":[null]}}]`,
		`{"b":1,"a":2,"é\n":3}`, `[` + strings.Repeat("0,", 70_000) + `0]`, strings.Repeat("[", 100) + strings.Repeat("]", 100),
		`{"_placeholder":false,"num":0}`,
	} {
		list = append(list, &parser.Packet{Type: parser.Ack, Namespace: "/", ID: 1, HasID: true, Data: []byte(`[` + value + `]`)})
	}
	return list
}

// withAttachments returns a packet with these attachments, one after the other.
func withAttachments(t parser.Type, before string, attachments ...[]byte) *parser.Packet {
	p := &parser.Packet{Type: t, Namespace: "/files", ID: 7, HasID: t == parser.Ack, Attachments: attachments}
	var list []string
	for i := range attachments {
		list = append(list, fmt.Sprintf(`{"_placeholder":true,"num":%d}`, i))
	}
	p.Data = []byte("[" + before + strings.Join(list, ",") + "]")
	return p
}

// encode encodes a packet.
func (s parserSuite) encode(tb testing.TB, p *parser.Packet) []parser.Message {
	tb.Helper()
	messages, err := s.parser.Encode(p)
	if err != nil || len(messages) == 0 {
		tb.Errorf("encoding %s: %d messages, error %v", sketch(p), len(messages), err)
		return nil
	}
	return messages
}

// decode gives messages to a decoder, of which exactly the last one completes a
// packet. The messages are overwritten then, as a server may do.
func decodeAll(tb testing.TB, d parser.Decoder, messages []parser.Message) *parser.Packet {
	tb.Helper()
	for i, m := range messages {
		m.Data = bytes.Clone(m.Data)
		p, err := d.Decode(m)
		clear(m.Data)
		if err != nil || (p != nil) != (i == len(messages)-1) {
			tb.Errorf("message %d of %d, %q: complete: %t, error %v", i+1, len(messages), m.Data, p != nil, err)
			return nil
		}
		if p != nil {
			return p
		}
	}
	return nil
}

// mustMatch fails the test unless got, which may be nil, means the same as want.
func mustMatch(tb testing.TB, got, want *parser.Packet) {
	tb.Helper()
	if got == nil {
		return // somebody has complained already
	}
	if a, b := meaning(tb, got), meaning(tb, want); a != b {
		tb.Errorf("got %s\nwant %s", abbreviate(a), abbreviate(b))
	}
}

// meaning describes what a server would make of a packet, with all its values.
func meaning(tb testing.TB, p *parser.Packet) string {
	tb.Helper()
	k, err := packet.Build(packet.Packet{
		Type: packet.Type(p.Type), Namespace: p.Namespace, ID: p.ID, HasID: p.HasID,
	}, p.Data, p.Attachments)
	if err != nil {
		return fmt.Sprintf("%s: %v", sketch(p), err)
	}
	s := fmt.Sprintf("%v %q %t", k.Type, k.Namespace, k.HasID)
	if k.HasID {
		s += fmt.Sprintf(" %d", k.ID)
	}
	values := make([]any, k.Args.Len())
	dst := make([]any, k.Args.Len())
	for i := range values {
		dst[i] = &values[i]
	}
	if err := k.Args.Decode(nil, dst...); err != nil {
		return fmt.Sprintf("%s: %v", sketch(p), err)
	}
	s += fmt.Sprintf(" %q %#v", k.Name, values)
	if k.Data != nil {
		var v any
		err := packet.DefaultCodec().Unmarshal(k.Data, &v)
		s += fmt.Sprintf(" %#v %v", v, err)
	}
	return s
}

func sketch(p *parser.Packet) string {
	return abbreviate(fmt.Sprintf("packet of type %d for %q with %d attachments and %s", p.Type, p.Namespace, len(p.Attachments), p.Data))
}

func abbreviate(s string) string {
	if len(s) > 500 {
		return s[:500] + "..."
	}
	return s
}

func (s parserSuite) packets(t *testing.T) {
	d := s.parser.NewDecoder(generous())
	for _, p := range samples() {
		mustMatch(t, decodeAll(t, d, s.encode(t, p)), p)
	}
}

// lookalikes: an object of the application's that looks like a placeholder arrives as it
// is, or is an error of who sends it. See [parser.Packet].
func (s parserSuite) lookalikes(t *testing.T) {
	p := &parser.Packet{
		Type: parser.Event, Namespace: "/", Attachments: [][]byte{{1}},
		Data: []byte(`["e",{"\u005fplaceholder":true,"num":0},{"_placeholder":true,"num":0}]`),
	}
	messages, err := s.parser.Encode(p)
	if err != nil {
		return
	}
	mustMatch(t, decodeAll(t, s.parser.NewDecoder(generous()), messages), p)
}

// memory: neither do messages share that of the packet or of each other, nor packets
// that of messages or of each other, and encoding changes nothing.
func (s parserSuite) memory(t *testing.T) {
	p := withAttachments(parser.Event, `"e","text",`, []byte("abc"), []byte("def"))
	want := withAttachments(parser.Event, `"e","text",`, []byte("abc"), []byte("def"))
	first, second := s.encode(t, p), s.encode(t, p)
	mustMatch(t, p, want)
	clear(p.Data)
	clear(p.Attachments[0])
	for _, m := range second {
		clear(m.Data)
	}
	d := s.parser.NewDecoder(generous())
	got := decodeAll(t, d, first)
	mustMatch(t, decodeAll(t, d, s.encode(t, withAttachments(parser.Event, `"x","other",`, []byte("xyz"), []byte("123")))),
		withAttachments(parser.Event, `"x","other",`, []byte("xyz"), []byte("123")))
	mustMatch(t, got, want)
}

// connections: what one sends does not get into the packets of another.
func (s parserSuite) connections(t *testing.T) {
	a := withAttachments(parser.Event, `"a",`, []byte("a1"), []byte("a2"))
	b := withAttachments(parser.Event, `"b",`, []byte("b1"), []byte("b2"))
	left, right := s.encode(t, a), s.encode(t, b)
	da, db := s.parser.NewDecoder(generous()), s.parser.NewDecoder(generous())
	for i := range min(len(left), len(right)) {
		last := i == len(left)-1
		pa, errA := da.Decode(left[i])
		pb, errB := db.Decode(right[i])
		if errA != nil || errB != nil || (pa != nil) != last || (pb != nil) != last {
			t.Fatalf("message %d: %v, %v", i+1, errA, errB)
		}
		if last {
			mustMatch(t, pa, a)
			mustMatch(t, pb, b)
		}
	}
}

// refused reports whether a packet cannot be decoded within limits.
func (s parserSuite) refused(tb testing.TB, l parser.Limits, p *parser.Packet) bool {
	tb.Helper()
	d := s.parser.NewDecoder(l)
	for _, m := range s.encode(tb, p) {
		if _, err := d.Decode(m); err != nil {
			return true
		}
	}
	return false
}

func (s parserSuite) attachments(t *testing.T) {
	l := parser.Limits{MaxAttachments: 3, MaxBytes: 1e6}
	all := [][]byte{{1}, {}, {3}, {}}
	if s.refused(t, l, withAttachments(parser.Event, `"e",`, all[:3]...)) {
		t.Error("3 attachments are refused where 3 are allowed")
	}
	if !s.refused(t, l, withAttachments(parser.Event, `"e",`, all...)) {
		t.Error("4 attachments are accepted where 3 are allowed")
	}
}

func (s parserSuite) bytes(t *testing.T) {
	l := parser.Limits{MaxAttachments: 10, MaxBytes: 1000}
	if s.refused(t, l, withAttachments(parser.Event, `"e",`, make([]byte, 400), make([]byte, 600))) {
		t.Error("1000 bytes are refused where 1000 are allowed")
	}
	if !s.refused(t, l, withAttachments(parser.Event, `"e",`, make([]byte, 400), make([]byte, 601))) {
		t.Error("1001 bytes are accepted where 1000 are allowed")
	}
}

// broken: messages that end too early, that have something behind them, or of which a
// bit has changed, are refused, or are packets within the limits.
func (s parserSuite) broken(t *testing.T) {
	l := parser.Limits{MaxAttachments: 3, MaxBytes: 1000}
	for _, p := range samples() {
		for i, m := range s.encode(t, p) {
			if len(m.Data) > 1000 {
				continue // there are enough others
			}
			for at := range len(m.Data) + 1 {
				for _, bad := range [][]byte{
					m.Data[:at],
					slices.Insert(bytes.Clone(m.Data), at, 0xff),
					flip(m.Data, at),
				} {
					s.survive(t, l, parser.Message{Binary: m.Binary, Data: bad}, i)
					s.survive(t, l, parser.Message{Binary: !m.Binary, Data: bad}, i)
				}
			}
		}
	}
	if _, err := s.parser.NewDecoder(l).Decode(parser.Message{}); err == nil {
		t.Error("an empty text message is accepted")
	}
}

func flip(p []byte, at int) []byte {
	p = bytes.Clone(p)
	if at < len(p) {
		p[at] ^= 1 << (at % 8)
	}
	return p
}

// survive gives one message to a new decoder.
func (s parserSuite) survive(tb testing.TB, l parser.Limits, m parser.Message, i int) {
	tb.Helper()
	var p *parser.Packet
	err := rescue.Call(func() (err error) {
		p, err = s.parser.NewDecoder(l).Decode(m)
		return err
	})
	switch {
	case rescue.Panicked(err):
		tb.Errorf("message %q: %v", m.Data, err)
	case err != nil || p == nil:
	case i > 0:
		tb.Errorf("an attachment is a packet: %q", m.Data)
	case len(p.Attachments) > l.MaxAttachments:
		tb.Errorf("message %q: %d attachments", m.Data, len(p.Attachments))
	case len(p.Data) > 50*len(m.Data)+math.MaxInt8:
		tb.Errorf("message %q: %d bytes of JSON", m.Data, len(p.Data))
	}
}

func (s parserSuite) concurrency(t *testing.T) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			d := s.parser.NewDecoder(generous())
			for _, p := range samples() {
				mustMatch(t, decodeAll(t, d, s.encode(t, p)), p)
			}
		})
	}
	all.Wait()
}
