package msgpack

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// An encoder appends MessagePack in its shortest form, which is what the package
// notepack.io writes.
type encoder struct {
	dst         []byte
	text        []byte   // of a string with escapes
	sizes       []uint32 // of the arrays and objects that are still to be written, in order
	attachments [][]byte
	astray      bool // a placeholder stands for no attachment
}

// maxKept is the largest buffer, in bytes, that is used again.
const maxKept = 64 << 10

var encoders = sync.Pool{New: func() any { return new(encoder) }} //nolint:gochecknoglobals // a pool of buffers

// Encode implements [parser.Parser].
func (Parser) Encode(p *parser.Packet) ([]parser.Message, error) {
	e := encoders.Get().(*encoder) //nolint:forcetypeassert,errcheck // nothing else is in there
	defer e.putBack()
	e.dst, e.attachments, e.astray = e.dst[:0], p.Attachments, false
	if err := e.packet(p); err != nil {
		return nil, fmt.Errorf("msgpack: %w", err)
	}
	return []parser.Message{{Binary: true, Data: bytes.Clone(e.dst)}}, nil
}

func (e *encoder) putBack() {
	e.attachments = nil
	if cap(e.dst)+cap(e.text)+4*cap(e.sizes) <= maxKept {
		encoders.Put(e)
	}
}

// packet writes the members of a packet in the order in which the JavaScript server
// has them, which differs from type to type. What is absent is left out: nil would
// be refused (ECO-MP-3).
func (e *encoder) packet(p *parser.Packet) error {
	if p.Type > parser.ConnectError {
		return errType
	}
	if !hasShape(p.Type, p.Data) {
		return errPayload
	}
	members := uint32(2)
	if p.Data != nil {
		members++
	}
	if p.HasID {
		members++
	}
	e.dst = msgp.AppendMapHeader(e.dst, members)
	if p.Type == parser.Ack {
		e.id(p)
	}
	e.dst = msgp.AppendUint8(msgp.AppendString(e.dst, "type"), byte(p.Type))
	if p.Type == parser.ConnectError {
		e.namespace(p)
		return e.data(p)
	}
	if err := e.data(p); err != nil {
		return err
	}
	if p.Type != parser.Ack {
		e.id(p)
	}
	e.namespace(p)
	return nil
}

func (e *encoder) id(p *parser.Packet) {
	if p.HasID {
		e.dst = msgp.AppendUint64(msgp.AppendString(e.dst, "id"), p.ID)
	}
}

func (e *encoder) namespace(p *parser.Packet) {
	e.dst = msgp.AppendString(msgp.AppendString(e.dst, "nsp"), p.Namespace)
}

// data writes the payload. It is checked, although it is the server's own, because
// it may come from another server of a cluster.
func (e *encoder) data(p *parser.Packet) error {
	if p.Data == nil {
		return nil
	}
	if !utf8.Valid(p.Data) || !rawjson.Scan(p.Data, packet.MaxDepth) {
		return errPayload
	}
	e.dst = msgp.AppendString(e.dst, "data")
	sizes := e.measure(p.Data)
	defer func() { e.sizes = sizes[:0] }()
	if err := e.value(&rawjson.Cursor{P: p.Data}); err != nil {
		return err
	}
	if e.astray {
		return errPlaceholder
	}
	return nil
}

// value writes what stands at the cursor.
func (e *encoder) value(c *rawjson.Cursor) error {
	switch c.Peek() {
	case '{':
		return e.object(c)
	case '[':
		return e.array(c)
	case '"':
		e.string(c.Str())
		return nil
	case 'n':
		c.Scalar()
		e.dst = msgp.AppendNil(e.dst)
		return nil
	case 't', 'f':
		e.dst = msgp.AppendBool(e.dst, c.Scalar()[0] == 't')
		return nil
	default:
		return e.number(c.Scalar())
	}
}

// measure finds how many elements or members each array and object has, in the order in
// which they begin: MessagePack has the number in front, and to make room for it
// afterwards would move what is inside, at each level once more.
func (e *encoder) measure(p []byte) []uint32 {
	e.sizes = e.sizes[:0]
	var few [32]int
	open := few[:0] // places in sizes
	for c := (rawjson.Cursor{P: p}); c.I < len(p); {
		switch p[c.I] {
		case '"':
			c.Str()
			continue
		case '[', '{':
			open = append(open, len(e.sizes))
			e.sizes = append(e.sizes, 0)
			if next := p[rawjson.SkipSpace(p, c.I+1)]; next != ']' && next != '}' {
				e.sizes[len(e.sizes)-1] = 1
			}
		case ',':
			e.sizes[open[len(open)-1]]++
		case ']', '}':
			open = open[:len(open)-1]
		}
		c.I++
	}
	return e.sizes
}

// size returns the size of the next array or object.
func (e *encoder) size() uint32 {
	n := e.sizes[0]
	e.sizes = e.sizes[1:]
	return n
}

func (e *encoder) array(c *rawjson.Cursor) error {
	e.dst = msgp.AppendArrayHeader(e.dst, e.size())
	for c.More() {
		if err := e.value(c); err != nil {
			return err
		}
	}
	return nil
}

// object writes an object. That it is a placeholder, and stands for an attachment,
// is known only when it has been read; then what is inside of it does not count.
func (e *encoder) object(c *rawjson.Cursor) error {
	start, astray := len(e.dst), e.astray
	e.dst = msgp.AppendMapHeader(e.dst, e.size())
	var h rawjson.Placeholder
	for c.More() {
		name := c.Name()
		e.string(name)
		c.Peek()
		at := c.I
		if err := e.value(c); err != nil {
			return err
		}
		h.Member(name, c.P[at:c.I])
	}
	if h.Is && len(e.attachments) > 0 {
		i, ok := h.Index(len(e.attachments))
		if ok {
			e.dst = msgp.AppendBytes(e.dst[:start], e.attachments[i])
		}
		e.astray = astray || !ok
	}
	return nil
}

// string writes a string, given as it stands between its quotes.
func (e *encoder) string(raw []byte) {
	if bytes.IndexByte(raw, '\\') >= 0 {
		e.text = rawjson.AppendUnescaped(e.text[:0], raw)
		raw = e.text
	}
	e.dst = msgp.AppendStringFromBytes(e.dst, raw)
}

// number writes a number as JavaScript would: whole ones as integers, however they
// are written, unless that takes more than 64 bits (ECO-MP-6).
func (e *encoder) number(raw []byte) error {
	if !bytes.ContainsAny(raw, ".eE") {
		if i, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			e.integer(i)
			return nil
		}
		if u, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
			e.dst = msgp.AppendUint64(e.dst, u)
			return nil
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case err != nil:
		return err
	case f != math.Trunc(f) || f < -1<<63 || f >= 1<<64:
		e.dst = msgp.AppendFloat64(e.dst, f)
	case f < 1<<63:
		e.integer(int64(f))
	default:
		e.dst = msgp.AppendUint64(e.dst, uint64(f))
	}
	return nil
}

func (e *encoder) integer(i int64) {
	if i < 0 {
		e.dst = msgp.AppendInt64(e.dst, i)
	} else {
		e.dst = msgp.AppendUint64(e.dst, uint64(i))
	}
}
