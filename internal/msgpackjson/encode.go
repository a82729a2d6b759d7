package msgpackjson

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// An Encoder appends MessagePack in its shortest form, which is what the package
// notepack.io writes.
type Encoder struct {
	Dst         []byte
	Attachments [][]byte // what placeholders stand for; if there are none, no object is one

	text   []byte   // of a string with escapes
	sizes  []uint32 // of the arrays and objects that are still to be written, in order
	astray bool     // a placeholder stands for no attachment
}

// Memory returns how many bytes the encoder's buffers have.
func (e *Encoder) Memory() int { return cap(e.Dst) + cap(e.text) + 4*cap(e.sizes) }

// Value appends a value, given as JSON. It is checked, because it may come from another
// server. It may have depth arrays and objects inside each other.
func (e *Encoder) Value(p []byte, depth int) error {
	if !utf8.Valid(p) || !rawjson.Scan(p, depth) {
		return ErrPayload
	}
	return e.Checked(p)
}

// Checked is [Encoder.Value] for JSON that has been checked.
func (e *Encoder) Checked(p []byte) error {
	e.astray = false
	sizes := e.measure(p)
	defer func() { e.sizes = sizes[:0] }()
	if err := e.value(&rawjson.Cursor{P: p}); err != nil {
		return err
	}
	if e.astray {
		return errPlaceholder
	}
	return nil
}

// value writes what stands at the cursor.
func (e *Encoder) value(c *rawjson.Cursor) error {
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
		e.Dst = msgp.AppendNil(e.Dst)
		return nil
	case 't', 'f':
		e.Dst = msgp.AppendBool(e.Dst, c.Scalar()[0] == 't')
		return nil
	default:
		return e.number(c.Scalar())
	}
}

// measure finds how many elements or members each array and object has, in the order in
// which they begin: MessagePack has the number in front, and to make room for it
// afterwards would move what is inside, at each level once more.
func (e *Encoder) measure(p []byte) []uint32 {
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
func (e *Encoder) size() uint32 {
	n := e.sizes[0]
	e.sizes = e.sizes[1:]
	return n
}

func (e *Encoder) array(c *rawjson.Cursor) error {
	e.Dst = msgp.AppendArrayHeader(e.Dst, e.size())
	for c.More() {
		if err := e.value(c); err != nil {
			return err
		}
	}
	return nil
}

// object writes an object. That it is a placeholder, and stands for an attachment,
// is known only when it has been read; then what is inside of it does not count.
func (e *Encoder) object(c *rawjson.Cursor) error {
	start, astray := len(e.Dst), e.astray
	e.Dst = msgp.AppendMapHeader(e.Dst, e.size())
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
	if h.Is && len(e.Attachments) > 0 {
		i, ok := h.Index(len(e.Attachments))
		if ok {
			e.Dst = msgp.AppendBytes(e.Dst[:start], e.Attachments[i])
		}
		e.astray = astray || !ok
	}
	return nil
}

// string writes a string, given as it stands between its quotes.
func (e *Encoder) string(raw []byte) {
	if bytes.IndexByte(raw, '\\') >= 0 {
		e.text = rawjson.AppendUnescaped(e.text[:0], raw)
		raw = e.text
	}
	e.Dst = msgp.AppendStringFromBytes(e.Dst, raw)
}

// number writes a number as JavaScript would: whole ones as integers, however they
// are written, unless that takes more than 64 bits (ECO-MP-6).
func (e *Encoder) number(raw []byte) error {
	if !bytes.ContainsAny(raw, ".eE") {
		if i, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			e.integer(i)
			return nil
		}
		if u, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
			e.Dst = msgp.AppendUint64(e.Dst, u)
			return nil
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case err != nil:
		return err
	case f != math.Trunc(f) || f < -1<<63 || f >= 1<<64:
		e.Dst = msgp.AppendFloat64(e.Dst, f)
	case f < 1<<63:
		e.integer(int64(f))
	default:
		e.Dst = msgp.AppendUint64(e.Dst, uint64(f))
	}
	return nil
}

func (e *Encoder) integer(i int64) {
	if i < 0 {
		e.Dst = msgp.AppendInt64(e.Dst, i)
	} else {
		e.Dst = msgp.AppendUint64(e.Dst, uint64(i))
	}
}
