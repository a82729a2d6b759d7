package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"unsafe"

	"github.com/sioplug/sioplug/internal/rawjson"
	"github.com/sioplug/sioplug/internal/rescue"
)

// ErrMissingArgument is the error inside an [*ArgumentError] if the peer sent
// fewer arguments than were to be decoded.
var ErrMissingArgument = errors.New("missing")

// An ArgumentError says which argument could not be decoded or encoded.
type ArgumentError struct {
	Index int // from 0
	Err   error
}

// Error names the argument and the cause.
func (e *ArgumentError) Error() string { return fmt.Sprintf("argument %d: %v", e.Index, e.Err) }

// Unwrap returns the cause.
func (e *ArgumentError) Unwrap() error { return e.Err }

// Args are the arguments of an event or an ack: valid JSON values, and the attachments for
// the placeholders in them. Args own their memory and are safe for concurrent use. The zero
// Args are empty.
type Args struct {
	raw         []byte // the values as on the wire, with commas between them
	attachments [][]byte
	n           int32
	lent        bool // raw is in memory that has other uses, too: see Decoder.Space
}

// NewArgs returns the arguments in the JSON array data, with their attachments,
// and of an event without its name. It keeps neither data nor the list of
// attachments, but the attachments themselves.
func NewArgs(t Type, data []byte, attachments [][]byte) (Args, error) {
	p, err := Build(Packet{Type: t}, data, attachments)
	return p.Args, err
}

// AppendData appends the values as a JSON array, in which attachments are
// placeholders.
func (a Args) AppendData(dst []byte) []byte {
	dst = append(dst, '[')
	dst = append(dst, a.raw...)
	return append(dst, ']')
}

// Attachments returns what the placeholders stand for. The caller must not
// change it.
func (a Args) Attachments() [][]byte { return a.attachments }

// Size returns the number of bytes of values and attachments.
func (a Args) Size() int {
	n := len(a.raw)
	for _, p := range a.attachments {
		n += len(p)
	}
	return n
}

// The memory of attachments beyond their bytes. Each one has a place in the list, and the
// allocator rounds its size up. The first one also counts for the partial packet.
const (
	attachmentOverhead = 48
	pendingOverhead    = 208
)

// Memory returns about how many bytes of memory the values take.
func (a Args) Memory() int {
	n := a.Size() + attachmentOverhead*len(a.attachments)
	if len(a.attachments) > 0 {
		n += pendingOverhead
	}
	return n
}

// takePlaceholders removes escapes from the names of placeholders, and reports whether
// there is one placeholder for each of n attachments.
func takePlaceholders(a *Args, n int) bool {
	if plain := rawjson.PlainNames(a.raw); len(plain) != len(a.raw) {
		a.raw, a.lent = plain, false
	}
	return rawjson.EachOnce(a.raw, n)
}

// Len returns the number of values.
func (a Args) Len() int { return int(a.n) }

// Raw returns the JSON of the value at index i, which must be less than
// [Args.Len]; attachments are still placeholders in it. The caller must not
// change it. To visit all values, use [Args.All].
func (a Args) Raw(i int) []byte {
	for k, raw := range a.All() {
		if k == i {
			return raw
		}
	}
	return nil
}

// All returns an iterator over the indexes and the JSON of the values, as
// [Args.Raw] would return it.
func (a Args) All() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		c := rawjson.Cursor{P: a.raw}
		for i := range a.Len() {
			if !yield(i, a.next(&c, i)) {
				return
			}
		}
	}
}

// next returns the value with index i, at which c stands. The end of the last
// one needs no search.
func (a Args) next(c *rawjson.Cursor, i int) []byte {
	if i == a.Len()-1 {
		c.Peek()
		end := len(c.P)
		for rawjson.IsSpace(c.P[end-1]) {
			end--
		}
		return slices.Clip(c.P[c.I:end])
	}
	raw := c.Value()
	c.Peek()
	c.I++ // the comma
	return slices.Clip(raw)
}

// Decode decodes the values into dst by position; each dst is a pointer, or nil
// for a value that is not wanted. Surplus values are ignored. An error is an
// [*ArgumentError] and leaves the rest of dst untouched.
//
// A null leaves strings, numbers and booleans unchanged, as in encoding/json. A placeholder
// is decoded into a []byte, or as a []byte into an any. A type with its own UnmarshalJSON,
// such as [encoding/json.RawMessage], gets a string in base64 instead. Attachments are not
// copied: values decoded from the same Args share them. A value with attachments is always
// decoded by the rules of encoding/json. Other values that are not simple are decoded by
// codec, or by [DefaultCodec] if codec is nil.
func (a Args) Decode(codec Codec, dst ...any) error {
	c := rawjson.Cursor{P: a.raw}
	for i, d := range dst {
		if i >= a.Len() {
			return &ArgumentError{Index: i, Err: ErrMissingArgument}
		}
		if err := a.decode(codec, a.next(&c, i), d); err != nil {
			return &ArgumentError{Index: i, Err: err}
		}
	}
	return nil
}

// Values returns all values, each decoded into an any as [Args.Decode] does.
func (a Args) Values(codec Codec) ([]any, error) {
	values := make([]any, a.n)
	for i, raw := range a.All() {
		if err := a.decode(codec, raw, &values[i]); err != nil {
			return nil, &ArgumentError{Index: i, Err: err}
		}
	}
	return values, nil
}

// DecodeSimple decodes the first value into dst, which does not escape. It reports false
// if there is no value, or if one of the two is not simple. Simple values are strings,
// numbers, booleans, raw JSON and attachments.
func (a Args) DecodeSimple(dst any) bool {
	if a.n == 0 {
		return false
	}
	return a.decodeSimple(a.next(&rawjson.Cursor{P: a.raw}, 0), dst)
}

// decodeSimple decodes one of the values if that takes no codec, and reports
// whether it did.
func (a Args) decodeSimple(raw []byte, dst any) bool {
	switch d := dst.(type) {
	case *string:
		if d == nil || raw[0] != '"' {
			return false
		}
		*d = a.text(raw[1 : len(raw)-1])
		return true
	case *[]byte:
		if d == nil || raw[0] != '{' {
			return false
		}
		i, ok := rawjson.PlaceholderIndex(raw, len(a.attachments))
		if ok {
			*d = a.attachments[i]
		}
		return ok
	case *json.RawMessage:
		if d == nil {
			return false
		}
		*d = a.appendRaw((*d)[:0], raw)
		return true
	}
	return decodeSimple(raw, dst)
}

// appendRaw appends a value as JSON, in which attachments are strings in base64.
func (a Args) appendRaw(dst, raw []byte) []byte {
	if len(a.attachments) > 0 && rawjson.HasPlaceholder(raw) {
		return rawjson.AppendBase64(dst, raw, a.attachments)
	}
	return append(dst, raw...)
}

// text returns the text of a string among the values. If the string is most of the values,
// it shares their memory, which never changes. So a large string is copied once between
// connection and handler, and a small string does not keep large memory.
func (a Args) text(p []byte) string {
	if !a.lent && len(p) > len(a.raw)/2 && bytes.IndexByte(p, '\\') < 0 {
		return unsafe.String(&p[0], len(p)) //nolint:gosec // see above
	}
	return rawjson.DecodeString(p)
}

func (a Args) decode(codec Codec, raw []byte, dst any) error {
	if dst == nil || a.decodeSimple(raw, dst) {
		return nil
	}
	if d, ok := dst.(*any); ok && d != nil && codec == nil && !holdsPointer(*d) {
		if v, err := decodeTree(raw, a.attachments); err == nil {
			*d = v
			return nil
		} // otherwise the codec finds the right words
	}
	if len(a.attachments) > 0 && rawjson.HasPlaceholder(raw) {
		return rescue.Call(func() error { return decodeBinary(raw, a.attachments, dst) })
	}
	return Unmarshal(codec, raw, dst)
}
