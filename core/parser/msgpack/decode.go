package msgpack

import (
	"fmt"
	"math"
	"strconv"

	"github.com/tinylib/msgp/msgp"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
	"github.com/sioplug/sioplug/internal/text"
)

// A decoder decodes the messages of one connection. Every message is a packet, so
// it needs to remember nothing.
type decoder struct{ limits parser.Limits }

// Decode implements [parser.Decoder].
func (d *decoder) Decode(m parser.Message) (*parser.Packet, error) {
	if !m.Binary {
		return nil, fmt.Errorf("msgpack: %w", errText)
	}
	r := reader{in: m.Data, limits: d.limits}
	p, err := r.packet()
	if err != nil {
		return nil, fmt.Errorf("msgpack: %w", err)
	}
	return p, nil
}

// A reader turns MessagePack into JSON and attachments, in time proportional to the
// message. The JSON has at most six bytes for each one of the message, where that is a
// control character, and a placeholder for each attachment.
type reader struct {
	in          []byte // what has not been read yet
	out         []byte // JSON
	attachments [][]byte
	bytes       int    // in the attachments
	unwanted    bool   // what is read now is for nobody
	junk        []byte // the JSON of that
	limits      parser.Limits
}

// packet reads a packet: a map, whose order does not matter (ECO-MP-1). As in
// JavaScript, members that nobody knows do not count, and the last one of a name
// does.
func (r *reader) packet() (*parser.Packet, error) {
	n, err := r.mapHeader()
	if err != nil {
		return nil, err
	}
	p := new(parser.Packet)
	var seen struct{ packetType, namespace bool }
	for range n {
		var name []byte
		if name, err = r.string(); err != nil {
			return nil, err
		}
		switch string(name) {
		case "type":
			seen.packetType = true
			err = r.packetType(p)
		case "nsp":
			seen.namespace = true
			err = r.namespace(p)
		case "id":
			err = r.id(p)
		case "data":
			err = r.data(p)
		default:
			err = r.ignore()
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case len(r.in) > 0: // ECO-MP-8
		return nil, errTrailing
	case !seen.packetType:
		return nil, errType
	case !seen.namespace:
		return nil, errNamespace
	case !hasShape(p.Type, p.Data):
		return nil, errPayload
	}
	return p, nil
}

func (r *reader) packetType(p *parser.Packet) error {
	t, ok := r.whole(uint64(parser.ConnectError))
	if !ok {
		return errType
	}
	p.Type = parser.Type(t) //nolint:gosec // at most 4
	return nil
}

func (r *reader) namespace(p *parser.Packet) error {
	ns, err := r.string()
	if err != nil {
		return errNamespace
	}
	p.Namespace = "/"
	if string(ns) != "/" { // which most packets are for, and needs no memory
		p.Namespace = string(text.Valid(ns))
	}
	return nil
}

func (r *reader) id(p *parser.Packet) error {
	p.ID, p.HasID = 0, false
	if r.undefined() {
		return nil
	}
	if p.ID, p.HasID = r.whole(packet.MaxID); !p.HasID {
		return errID
	}
	return nil
}

// What there is room for from the start: so much JSON and the first placeholder.
// Larger packets grow.
const (
	firstRoom         = 4 << 10
	sizeOfPlaceholder = len(`{"_placeholder":true,"num":0}`)
)

// data reads the payload. There may be any number of members of that name, of which the
// last one counts: they use the same memory.
func (r *reader) data(p *parser.Packet) error {
	p.Data, p.Attachments = nil, nil
	r.attachments, r.bytes = nil, 0
	if r.undefined() { // ECO-MP-2
		return nil
	}
	if r.out == nil {
		r.out = make([]byte, 0, min(len(r.in)+len(r.in)/2, firstRoom)+sizeOfPlaceholder)
	}
	r.out = r.out[:0]
	err := r.value(packet.MaxDepth)
	p.Data, p.Attachments = r.out, r.attachments
	return err
}

// ignore reads a value that nobody wants.
func (r *reader) ignore() error {
	wanted := r.out
	r.out, r.unwanted = r.junk[:0], true
	err := r.value(packet.MaxDepth)
	r.out, r.junk, r.unwanted = wanted, r.out, false
	return err
}

// mapHeader and arrayHeader read how many members or elements follow. Each takes some
// bytes of what is left, so a larger number is refused at once.
func (r *reader) mapHeader() (int, error) {
	n, in, err := msgp.ReadMapHeaderBytes(r.in)
	if err != nil {
		return 0, err
	}
	if r.in = in; uint64(n)*2 > uint64(len(in)) {
		return 0, errShort
	}
	return int(n), nil
}

func (r *reader) arrayHeader() (int, error) {
	n, in, err := msgp.ReadArrayHeaderBytes(r.in)
	if err != nil {
		return 0, err
	}
	if r.in = in; uint64(n) > uint64(len(in)) {
		return 0, errShort
	}
	return int(n), nil
}

// whole reads a whole number of at most limit. It reports false if there is none.
func (r *reader) whole(limit uint64) (uint64, bool) {
	switch msgp.NextType(r.in) {
	case msgp.IntType, msgp.UintType:
		u, in, err := msgp.ReadUint64Bytes(r.in)
		r.in = in
		return u, err == nil && u <= limit
	case msgp.Float64Type, msgp.Float32Type:
		f, in, err := msgp.ReadFloat64Bytes(r.in)
		r.in = in
		return uint64(f), err == nil && f >= 0 && f <= float64(limit) && f == math.Trunc(f)
	default:
		return 0, false
	}
}

// string reads a string, which the caller must not keep.
func (r *reader) string() ([]byte, error) {
	if r.tooLong() {
		return nil, errShort
	}
	s, in, err := msgp.ReadStringZC(r.in)
	r.in = in
	return s, err
}

// tooLong reports whether what comes next claims to have 2 GiB or more, which an int
// may be too small for.
func (r *reader) tooLong() bool {
	return len(r.in) > 1 && r.in[1] >= 0x80 && (r.in[0] == 0xc6 || r.in[0] == 0xdb) // bin 32, str 32
}

// value reads a value that may open depth more levels.
func (r *reader) value(depth int) error {
	if len(r.in) == 0 {
		return errShort
	}
	if isExtension(r.in[0]) {
		return r.extension()
	}
	switch msgp.NextType(r.in) {
	case msgp.MapType:
		return r.object(depth - 1)
	case msgp.ArrayType:
		return r.array(depth - 1)
	case msgp.StrType:
		return r.text()
	case msgp.BinType:
		if r.tooLong() {
			return errShort
		}
		b, in, err := msgp.ReadBytesZC(r.in)
		if err != nil {
			return err
		}
		r.in = in
		return r.attach(b)
	case msgp.NilType:
		r.in = r.in[1:]
		r.out = append(r.out, "null"...)
		return nil
	case msgp.BoolType:
		b, in, err := msgp.ReadBoolBytes(r.in)
		r.in = in
		r.out = strconv.AppendBool(r.out, b)
		return err
	default:
		return r.number()
	}
}

func (r *reader) array(depth int) error {
	n, err := r.arrayHeader()
	switch {
	case err != nil:
		return err
	case depth < 0:
		return errDepth
	}
	r.out = append(r.out, '[')
	for i := range n {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		if err := r.value(depth); err != nil {
			return err
		}
	}
	r.out = append(r.out, ']')
	return nil
}

func (r *reader) object(depth int) error {
	n, err := r.mapHeader()
	switch {
	case err != nil:
		return err
	case depth < 0:
		return errDepth
	}
	r.out = append(r.out, '{')
	first := len(r.out)
	for range n {
		before := len(r.out)
		if before > first {
			r.out = append(r.out, ',')
		}
		if err := r.key(); err != nil {
			return err
		}
		if r.undefined() { // JSON has no such member
			r.out = r.out[:before]
			continue
		}
		r.out = append(r.out, ':')
		if err := r.value(depth); err != nil {
			return err
		}
	}
	r.out = append(r.out, '}')
	return nil
}

// key reads the name of a member. In JavaScript, a number is one. This encoding has no
// placeholders, so what looks like one must not become one.
func (r *reader) key() error {
	switch msgp.NextType(r.in) {
	case msgp.StrType:
		start := len(r.out)
		err := r.text()
		if len(r.out)-start == len(`"_placeholder"`) {
			r.out = append(r.out[:start], rawjson.HideNames(r.out[start:])...)
		}
		return err
	case msgp.IntType, msgp.UintType:
		r.out = append(r.out, '"')
		err := r.number()
		r.out = append(r.out, '"')
		return err
	default:
		return errKey
	}
}

// text reads a string. What is not UTF-8 is U+FFFD, as in Node.js.
func (r *reader) text() error {
	s, err := r.string()
	if err != nil {
		return err
	}
	r.out = append(r.out, '"')
	r.out = append(rawjson.AppendText(r.out, text.Valid(s)), '"')
	return nil
}

func (r *reader) number() error {
	switch msgp.NextType(r.in) {
	case msgp.IntType:
		i, in, err := msgp.ReadInt64Bytes(r.in)
		r.in = in
		r.out = strconv.AppendInt(r.out, i, 10)
		return err
	case msgp.UintType:
		u, in, err := msgp.ReadUint64Bytes(r.in)
		r.in = in
		r.out = strconv.AppendUint(r.out, u, 10)
		return err
	default:
		return r.float()
	}
}

// float reads a float, and refuses what has no type at all.
func (r *reader) float() error {
	f, in, err := msgp.ReadFloat64Bytes(r.in)
	r.in = in
	switch {
	case err != nil:
		return err
	case math.IsNaN(f) || math.IsInf(f, 0):
		r.out = append(r.out, "null"...)
	default:
		r.out = rawjson.AppendFloat(r.out, f, 64)
	}
	return nil
}

// attach takes a binary value, and writes the placeholder of it.
func (r *reader) attach(b []byte) error {
	if r.unwanted {
		r.out = append(r.out, "null"...)
		return nil
	}
	if len(r.attachments) >= r.limits.MaxAttachments {
		return errAttachments
	}
	if r.bytes += len(b); r.bytes > r.limits.MaxBytes {
		return errBytes
	}
	r.out = rawjson.AppendPlaceholder(r.out, len(r.attachments))
	r.attachments = append(r.attachments, append([]byte{}, b...))
	return nil
}
