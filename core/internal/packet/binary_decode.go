package packet

import (
	"encoding"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sioplug/sioplug/core/internal/rawjson"
)

// errNotBinary is for an object where a byte slice should be.
var errNotBinary = errors.New("object is not an attachment")

// A binaryDecoder is the counterpart of a binaryEncoder.
type binaryDecoder struct {
	options     json.Options
	attachments [][]byte
}

var binaryDecoders = [2]sync.Pool{ //nolint:gochecknoglobals // see binaryEncoders
	{New: func() any { return newBinaryDecoder(false) }},
	{New: func() any { return newBinaryDecoder(true) }},
}

func newBinaryDecoder(named bool) *binaryDecoder {
	d := new(binaryDecoder)
	u := json.JoinUnmarshalers(
		json.UnmarshalFromFunc(d.bytes), json.UnmarshalFromFunc(d.any), json.UnmarshalFromFunc(unmarshalNumber),
	)
	if named {
		u = json.JoinUnmarshalers(u, json.UnmarshalFromFunc(d.named))
	}
	d.options = options(json.WithUnmarshalers(u))
	return d
}

// decodeBinary decodes a value with placeholders in it.
func decodeBinary(raw []byte, attachments [][]byte, dst any) error {
	named := infoOf(reflect.TypeOf(dst)).traits&holdsNamed != 0
	decoders := &binaryDecoders[pool(named)]
	d := decoders.Get().(*binaryDecoder) //nolint:forcetypeassert,errcheck // nothing else is in there
	d.attachments = attachments
	err := json.Unmarshal(raw, dst, d.options)
	d.attachments = nil
	decoders.Put(d)
	return err
}

// attachment reads a placeholder. Everything but an object goes the usual way.
func (d *binaryDecoder) attachment(dec *jsontext.Decoder) ([]byte, error) {
	if dec.PeekKind() != jsontext.KindBeginObject {
		return nil, errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return nil, err
	}
	i, ok := rawjson.PlaceholderIndex(raw, len(d.attachments))
	if !ok {
		return nil, errNotBinary
	}
	return d.attachments[i], nil
}

// bytes reads into a byte slice.
func (d *binaryDecoder) bytes(dec *jsontext.Decoder, dst *[]byte) error {
	b, err := d.attachment(dec)
	if err == nil {
		*dst = b
	}
	return err
}

// named gets a pointer to where any value goes, and reads it if it is a byte
// slice.
func (d *binaryDecoder) named(dec *jsontext.Decoder, dst any) error {
	v := reflect.ValueOf(dst).Elem()
	t := v.Type()
	if !isBytes(t) || implements(t, reflect.TypeFor[stdjson.Unmarshaler]()) ||
		implements(t, reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return errors.ErrUnsupported
	}
	b, err := d.attachment(dec)
	if err == nil {
		v.SetBytes(b)
	}
	return err
}

// any reads what has no type of its own.
func (d *binaryDecoder) any(dec *jsontext.Decoder, dst *any) error {
	// encoding/json decodes into what an interface points to.
	if old := reflect.ValueOf(*dst); old.Kind() == reflect.Pointer && !old.IsNil() {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	v, err := d.tree(&rawjson.Cursor{P: raw})
	if err == nil {
		*dst = v
	}
	return err
}

// tree decodes a value in one pass, however deep it is: an object is known to
// be a placeholder only when it has been read.
func (d *binaryDecoder) tree(c *rawjson.Cursor) (any, error) {
	switch c.Peek() {
	case '{':
		return d.object(c)
	case '[':
		list := []any{}
		for c.More() {
			v, err := d.tree(c)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case '"':
		return rawjson.DecodeString(c.Str()), nil
	case 'n':
		c.Scalar()
		return nil, nil //nolint:nilnil // null
	case 't', 'f':
		return c.Scalar()[0] == 't', nil
	default:
		return strconv.ParseFloat(string(c.Scalar()), 64)
	}
}

func (d *binaryDecoder) object(c *rawjson.Cursor) (any, error) {
	object := make(map[string]any)
	var h rawjson.Placeholder
	for c.More() {
		name := c.Name()
		c.Peek()
		start := c.I
		v, err := d.tree(c)
		if err != nil {
			return nil, err
		}
		h.Member(name, c.P[start:c.I])
		object[rawjson.DecodeString(name)] = v
	}
	if h.Is {
		if i, ok := h.Index(len(d.attachments)); ok {
			return d.attachments[i], nil
		}
	}
	return object, nil
}

// unmarshalNumber is the counterpart of marshalNumber.
func unmarshalNumber(dec *jsontext.Decoder, dst *stdjson.Number) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	return stdjson.Unmarshal(raw, dst)
}
