package msgpackjson

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
	"github.com/sioplug/sioplug/internal/text"
)

// A Reader turns MessagePack into JSON and attachments, in time proportional to the
// message. The JSON has at most six bytes for each one of the message, where that is a
// control character, and a placeholder for each attachment.
type Reader struct {
	In          []byte // what has not been read yet
	Out         []byte // JSON
	Attachments [][]byte

	MaxAttachments int
	MaxBytes       int  // in the attachments
	Strict         bool // refuse strings that are not UTF-8
	Share          bool // attachments are parts of In, and not copied

	bytes    int    // in the attachments
	unwanted bool   // what is read now is for nobody
	junk     []byte // the JSON of that
}

// Reset forgets what was read, and keeps the memory of Out.
func (r *Reader) Reset() {
	r.Out, r.Attachments, r.bytes = r.Out[:0], nil, 0
}

// Ignore reads a value that nobody wants.
func (r *Reader) Ignore() error {
	wanted := r.Out
	r.Out, r.unwanted = r.junk[:0], true
	err := r.Value(packet.MaxDepth)
	r.Out, r.junk, r.unwanted = wanted, r.Out, false
	return err
}

// MapHeader reads how many members follow, arrayHeader how many elements do. Each takes some
// bytes of what is left, so a larger number is refused at once.
func (r *Reader) MapHeader() (int, error) {
	n, in, err := msgp.ReadMapHeaderBytes(r.In)
	if err != nil {
		return 0, err
	}
	if r.In = in; uint64(n)*2 > uint64(len(in)) {
		return 0, ErrShort
	}
	return int(n), nil
}

func (r *Reader) arrayHeader() (int, error) {
	n, in, err := msgp.ReadArrayHeaderBytes(r.In)
	if err != nil {
		return 0, err
	}
	if r.In = in; uint64(n) > uint64(len(in)) {
		return 0, ErrShort
	}
	return int(n), nil
}

// Whole reads a whole number of at most limit. It reports false if there is none.
func (r *Reader) Whole(limit uint64) (uint64, bool) {
	switch msgp.NextType(r.In) {
	case msgp.IntType, msgp.UintType:
		u, in, err := msgp.ReadUint64Bytes(r.In)
		r.In = in
		return u, err == nil && u <= limit
	case msgp.Float64Type, msgp.Float32Type:
		f, in, err := msgp.ReadFloat64Bytes(r.In)
		r.In = in
		return uint64(f), err == nil && f >= 0 && f <= float64(limit) && f == math.Trunc(f)
	default:
		return 0, false
	}
}

// Str reads a string, which the caller must not keep.
func (r *Reader) Str() ([]byte, error) {
	if r.tooLong() {
		return nil, ErrShort
	}
	s, in, err := msgp.ReadStringZC(r.In)
	r.In = in
	return s, err
}

// tooLong reports whether what comes next claims to have 2 GiB or more, which an int
// may be too small for.
func (r *Reader) tooLong() bool {
	return len(r.In) > 1 && r.In[1] >= 0x80 && (r.In[0] == 0xc6 || r.In[0] == 0xdb) // bin 32, str 32
}

// Value reads a value that may open depth more levels.
func (r *Reader) Value(depth int) error {
	if len(r.In) == 0 {
		return ErrShort
	}
	if isExtension(r.In[0]) {
		return r.extension()
	}
	switch msgp.NextType(r.In) {
	case msgp.MapType:
		return r.object(depth - 1)
	case msgp.ArrayType:
		return r.array(depth - 1)
	case msgp.StrType:
		return r.text()
	case msgp.BinType:
		if r.tooLong() {
			return ErrShort
		}
		b, in, err := msgp.ReadBytesZC(r.In)
		if err != nil {
			return err
		}
		r.In = in
		return r.attach(b)
	case msgp.NilType:
		r.In = r.In[1:]
		r.Out = append(r.Out, "null"...)
		return nil
	case msgp.BoolType:
		b, in, err := msgp.ReadBoolBytes(r.In)
		r.In = in
		r.Out = strconv.AppendBool(r.Out, b)
		return err
	default:
		return r.number()
	}
}

func (r *Reader) array(depth int) error {
	n, err := r.arrayHeader()
	switch {
	case err != nil:
		return err
	case depth < 0:
		return errDepth
	}
	r.Out = append(r.Out, '[')
	for i := range n {
		if i > 0 {
			r.Out = append(r.Out, ',')
		}
		if err := r.Value(depth); err != nil {
			return err
		}
	}
	r.Out = append(r.Out, ']')
	return nil
}

func (r *Reader) object(depth int) error {
	n, err := r.MapHeader()
	switch {
	case err != nil:
		return err
	case depth < 0:
		return errDepth
	}
	r.Out = append(r.Out, '{')
	first := len(r.Out)
	for range n {
		before := len(r.Out)
		if before > first {
			r.Out = append(r.Out, ',')
		}
		if err := r.key(); err != nil {
			return err
		}
		if r.Undefined() { // JSON has no such member
			r.Out = r.Out[:before]
			continue
		}
		r.Out = append(r.Out, ':')
		if err := r.Value(depth); err != nil {
			return err
		}
	}
	r.Out = append(r.Out, '}')
	return nil
}

// key reads the name of a member. In JavaScript, a number is one. This encoding has no
// placeholders, so what looks like one must not become one.
func (r *Reader) key() error {
	switch msgp.NextType(r.In) {
	case msgp.StrType:
		start := len(r.Out)
		err := r.text()
		if len(r.Out)-start == len(`"_placeholder"`) {
			r.Out = append(r.Out[:start], rawjson.HideNames(r.Out[start:])...)
		}
		return err
	case msgp.IntType, msgp.UintType:
		r.Out = append(r.Out, '"')
		err := r.number()
		r.Out = append(r.Out, '"')
		return err
	default:
		return errKey
	}
}

// text reads a string. Unless Strict, what is not UTF-8 is U+FFFD, as in Node.js.
func (r *Reader) text() error {
	s, err := r.Str()
	if err != nil {
		return err
	}
	if r.Strict && !utf8.Valid(s) {
		return errUTF8
	}
	r.Out = append(r.Out, '"')
	r.Out = append(rawjson.AppendText(r.Out, text.Valid(s)), '"')
	return nil
}

func (r *Reader) number() error {
	switch msgp.NextType(r.In) {
	case msgp.IntType:
		i, in, err := msgp.ReadInt64Bytes(r.In)
		r.In = in
		r.Out = strconv.AppendInt(r.Out, i, 10)
		return err
	case msgp.UintType:
		u, in, err := msgp.ReadUint64Bytes(r.In)
		r.In = in
		r.Out = strconv.AppendUint(r.Out, u, 10)
		return err
	default:
		return r.float()
	}
}

// float reads a float, and refuses what has no type at all.
func (r *Reader) float() error {
	f, in, err := msgp.ReadFloat64Bytes(r.In)
	r.In = in
	switch {
	case err != nil:
		return err
	case math.IsNaN(f) || math.IsInf(f, 0):
		r.Out = append(r.Out, "null"...)
	default:
		r.Out = rawjson.AppendFloat(r.Out, f, 64)
	}
	return nil
}

// attach takes a binary value, and writes the placeholder of it.
func (r *Reader) attach(b []byte) error {
	if r.unwanted {
		r.Out = append(r.Out, "null"...)
		return nil
	}
	if len(r.Attachments) >= r.MaxAttachments {
		return errAttachments
	}
	if r.bytes += len(b); r.bytes > r.MaxBytes {
		return errBytes
	}
	r.Out = rawjson.AppendPlaceholder(r.Out, len(r.Attachments))
	if r.Share {
		b = slices.Clip(b)
	} else {
		b = append([]byte{}, b...)
	}
	r.Attachments = append(r.Attachments, b)
	return nil
}
