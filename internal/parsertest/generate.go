package parsertest

import (
	"math"
	"math/rand/v2"
	"strings"

	"github.com/sioplug/sioplug/internal/packet"
)

// Packets returns n packets of every type, with values of every kind: always the
// same ones for a seed.
func Packets(seed uint64, n int) []Packet {
	packets := make([]Packet, n)
	for i := range packets {
		g := generator{Rand: rand.New(rand.NewPCG(seed, uint64(i))), attachments: 10} //nolint:gosec // not for secrets
		packets[i] = g.packet()
	}
	return packets
}

// PacketsOfMsgpack is like Packets for an encoding that has no placeholders: there are
// more binary values, and objects that look like placeholders.
func PacketsOfMsgpack(seed uint64, n int) []Packet {
	packets := make([]Packet, n)
	for i := range packets {
		g := generator{
			Rand:        rand.New(rand.NewPCG(seed, uint64(i))), //nolint:gosec // not for secrets
			attachments: 40, lookalikes: true,
		}
		packets[i] = g.packet()
	}
	return packets
}

// A generator makes random values.
type generator struct {
	*rand.Rand

	attachments int  // how many there may still be
	lookalikes  bool // make objects that look like placeholders
}

func (g *generator) packet() Packet {
	p := Packet{Namespace: pick(g, "/", "/", "/admin", "/a b/c", "/ü日😀", "/q?x=1&y", "/"+strings.Repeat("long", 30)), ID: g.id()}
	switch kind := g.IntN(10); {
	case kind < 6:
		p.Type, p.HasID = packet.Event, g.IntN(2) == 0
		p.Data = append([]any{g.name()}, g.list(3)...)
	case kind < 8:
		p.Type, p.HasID = packet.Ack, true
		p.Data = g.list(3)
	case kind < 9:
		g.attachments = 0 // they are for events and acks
		p.Type = pick(g, packet.Connect, packet.ConnectError)
		p.Data = g.object(2)
		if p.Type == packet.Connect && g.IntN(3) == 0 {
			p.Data = nil
		}
	default:
		p.Type = packet.Disconnect
	}
	if !p.HasID {
		p.ID = 0
	}
	return p
}

func (g *generator) id() uint64 {
	return pick(g, 0, 1, 9, 10, 127, 128, 255, 256, 65535, 65536, 1<<32-1, 1<<32, 1<<53-1, g.Uint64N(1<<53))
}

// name returns the name of an event that is not reserved.
func (g *generator) name() string { return "e" + g.text() }

// value returns a value of at most this depth.
func (g *generator) value(depth int) any {
	kinds := 11
	if depth == 0 {
		kinds = 8
	}
	switch g.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return g.IntN(2) == 0
	case 2, 3:
		return g.number()
	case 4, 5:
		return g.text()
	case 6, 7:
		if g.attachments == 0 {
			return g.text()
		}
		g.attachments--
		return g.bytes()
	case 8, 9:
		return g.list(depth - 1)
	default:
		return g.object(depth - 1)
	}
}

func (g *generator) list(depth int) []any {
	list := make([]any, g.size())
	for i := range list {
		list[i] = g.value(depth)
	}
	return list
}

func (g *generator) object(depth int) map[string]any {
	object := make(map[string]any)
	if g.lookalikes && g.IntN(6) == 0 {
		object["_placeholder"] = pick[any](g, true, true, true, false, 1.0)
		object["num"] = pick[any](g, 0.0, 0.0, 1.0, 99.0, "0")
	}
	for range g.size() {
		// JavaScript moves names that are indexes to the front: none begins with a digit.
		object["k"+g.text()] = g.value(depth)
	}
	return object
}

// size returns a small number, and sometimes one at which heads get longer.
func (g *generator) size() int {
	if g.IntN(40) == 0 {
		return pick(g, 15, 16, 17)
	}
	return g.IntN(4)
}

// number returns one for which JavaScript has a form of its own.
func (g *generator) number() float64 {
	if g.IntN(4) == 0 {
		for {
			if f := math.Float64frombits(g.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
				return f
			}
		}
	}
	// The limits at which MessagePack, JSON, or JavaScript choose another form, and
	// what is next to them.
	f := pick(g, 0, 1, 32, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1<<31-1, 1<<31, 1<<32-1, 1<<32, 1<<53-1, 1<<53,
		1<<63, 1e18, 1e20, 999999999999999900000, 1e21, 1e22, 0.1, 0.5, 1e-5, 1e-6, 1e-7, 123.456, math.Pi,
		math.SmallestNonzeroFloat64, math.MaxFloat64, math.MaxFloat32, math.SmallestNonzeroFloat32, math.Trunc(g.NormFloat64()*1e6), g.NormFloat64())
	switch g.IntN(4) {
	case 0:
		f = -f
	case 1:
		f = math.Nextafter(f, math.Inf(1))
	case 2:
		f--
	}
	if math.IsInf(f, 0) || f == 0 { // zero may have a sign, which JSON.stringify drops
		return 0
	}
	return f
}

// text returns a string in which every kind of character is likely.
func (g *generator) text() string {
	alphabet := []rune("abc 12[]{},:\"\\/\b\f\n\r\t\x00\x1f\x7f\u0080éß日本\u2028\u2029\ufeff\ufffd\uffff😀\U0010ffff_-$")
	n := g.IntN(12)
	switch g.IntN(60) {
	case 0:
		n = pick(g, 31, 32, 33, 255, 256, 257)
	case 1:
		n = pick(g, 5000, 65535, 65536)
		alphabet = alphabet[:12]
	}
	s := make([]rune, n)
	for i := range s {
		s[i] = alphabet[g.IntN(len(alphabet))]
	}
	return string(s)
}

func (g *generator) bytes() []byte {
	n := g.IntN(8)
	if g.IntN(20) == 0 {
		n = pick(g, 255, 256, 65535, 65536)
	}
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(g.Uint32()) //nolint:gosec // any will do
	}
	return p
}

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }
