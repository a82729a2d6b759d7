// Package clusterwire has the parts that the message formats of cluster adapters have in
// common. Messages are JSON, or MessagePack that is converted from and to JSON: so there
// is one format to write, and one to read.
package clusterwire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/msgpackjson"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// maxDepth is how many arrays and objects a message may have inside each other: those of
// its content, and some around it.
const maxDepth = packet.MaxDepth + 8

// Why something is no message.
var (
	errJSON     = errors.New("invalid JSON or UTF-8")
	errTrailing = errors.New("trailing bytes")
	errString   = errors.New("neither a string nor a number")
	errUTF8     = errors.New("name or id that is not UTF-8")
	errList     = errors.New("not an array")
	errNumber   = errors.New("number out of range")
	errEvent    = errors.New("not an array of an event's name and arguments, or the name is reserved")
	errValue    = errors.New("invalid value")
	errNoPacket = errors.New("no packet with data")
	errNoEvent  = errors.New("packet of another type than an event")
	errObject   = errors.New("not an object")
)

// Is reports whether a message is JSON. Otherwise, it is MessagePack.
func Is(data []byte) bool { return len(data) > 0 && data[0] == '{' }

// Read returns a message as valid JSON, and the attachments that its placeholders stand
// for. Both share the memory of data. In a message that is JSON, nothing is a placeholder.
func Read(data []byte) (message []byte, attachments [][]byte, err error) {
	if Is(data) {
		if !utf8.Valid(data) || !rawjson.Scan(data, maxDepth) {
			return nil, nil, errJSON
		}
		return rawjson.HideNames(data), nil, nil
	}
	r := msgpackjson.Reader{
		In: data, Out: make([]byte, 0, min(len(data)+len(data)/2, firstRoom)),
		MaxAttachments: math.MaxInt, MaxBytes: math.MaxInt, Strict: true, Share: true,
	}
	if err := r.Value(maxDepth); err != nil {
		return nil, nil, err
	}
	if len(r.In) > 0 {
		return nil, nil, errTrailing
	}
	return r.Out, r.Attachments, nil
}

// firstRoom is the capacity of a large message's JSON at first, in bytes.
const firstRoom = 16 << 10

// A Writer has the memory to write a message: see [NewWriter].
type Writer struct {
	JSON []byte
	e    msgpackjson.Encoder
}

// maxKept is the largest buffer, in bytes, that is used again.
const maxKept = 64 << 10

var writers = sync.Pool{New: func() any { return new(Writer) }} //nolint:gochecknoglobals // a pool of buffers

// NewWriter returns a Writer without content. The caller calls Free when it is done with it.
func NewWriter() *Writer { return writers.Get().(*Writer) } //nolint:forcetypeassert,errcheck // nothing else is in there

// Free makes the memory available to others.
func (w *Writer) Free() {
	w.e.Dst, w.e.Attachments, w.JSON = nil, nil, w.JSON[:0]
	if cap(w.JSON)+w.e.Memory() <= maxKept {
		writers.Put(w)
	}
}

// AppendMessagePack appends the content as MessagePack, with attachments for placeholders.
// All of it has been checked.
func (w *Writer) AppendMessagePack(dst []byte, attachments [][]byte) ([]byte, error) {
	w.e.Dst, w.e.Attachments = dst, attachments
	err := w.e.Checked(w.JSON)
	if err != nil {
		return dst, err
	}
	return w.e.Dst, nil
}

// Members yields the members of an object: names without escapes, and values without the
// space around them. An error says that object is none. An absent one has no members.
func Members(object []byte, yield func(name, value []byte) error) error {
	if object == nil {
		return nil
	}
	c := rawjson.Cursor{P: object}
	if c.Peek() != '{' {
		return errObject
	}
	for c.More() {
		name := c.Name()
		if bytes.IndexByte(name, '\\') >= 0 {
			name = rawjson.AppendUnescaped(nil, name)
		}
		if err := yield(name, c.Value()); err != nil {
			return err
		}
	}
	return nil
}

// Present returns a value, or nil if it is null.
func Present(value []byte) []byte {
	if string(value) == "null" {
		return nil
	}
	return value
}

// String returns a string. Numbers become strings, as in JavaScript. An absent one is "".
func String(value []byte) (string, error) {
	switch {
	case len(value) == 0:
		return "", nil
	case value[0] == '"':
		inside := value[1 : len(value)-1]
		if string(inside) == "/" {
			return "/", nil // which needs no memory
		}
		return rawjson.DecodeString(inside), nil
	case value[0] == '-' || rawjson.IsDigit(value[0]):
		return numberText(value)
	default:
		return "", errString
	}
}

func numberText(value []byte) (string, error) {
	if i, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return strconv.FormatInt(i, 10), nil
	}
	if u, err := strconv.ParseUint(string(value), 10, 64); err == nil {
		return strconv.FormatUint(u, 10), nil
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return "", errNumber
	}
	return string(rawjson.AppendFloat(nil, f+0, 64)), nil
}

// Strings returns a list of strings, nil if it is empty or absent.
func Strings(list []byte) ([]string, error) {
	if list == nil {
		return nil, nil
	}
	c := rawjson.Cursor{P: list}
	if c.Peek() != '[' {
		return nil, errList
	}
	var out []string
	for c.More() {
		s, err := String(c.Value())
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Int returns a whole number from 0 to limit. An absent one is 0.
func Int(value []byte, limit int) (int, error) {
	if value == nil {
		return 0, nil
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || f < 0 || f > float64(limit) || f != math.Trunc(f) {
		return 0, errNumber
	}
	return int(f), nil
}

// Bool reports whether a value is true.
func Bool(value []byte) bool { return string(value) == "true" }

// Name appends `,"name":`, without the comma if it is the first member of an object.
func Name(dst []byte, name string) []byte {
	if last := dst[len(dst)-1]; last != '{' {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), '"', ':')
}

// AppendString appends a string. It must be UTF-8: another one would name something else
// at the receiver.
func AppendString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return dst, errUTF8
	}
	return append(rawjson.AppendText(append(dst, '"'), s), '"'), nil
}

// AppendStrings appends a list of strings.
func AppendStrings(dst []byte, list []string) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = AppendString(dst, s); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// In says where in a message something is wrong.
func In[T string | []byte](where T, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}
