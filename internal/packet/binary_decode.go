package packet

import (
	"encoding"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// errNotBinary is for an object where a byte slice should be.
var errNotBinary = errors.New("object is not an attachment")

// A binaryDecoder is the counterpart of a binaryEncoder.
type binaryDecoder struct {
	options     json.Options
	attachments [][]byte
}

var binaryDecoders = [2]sync.Pool{ //nolint:gochecknoglobals // see binaryEncoders
	{New: func() any { d := new(binaryDecoder); return d.with(json.UnmarshalFromFunc(d.opaque)) }},
	{New: func() any {
		d := new(binaryDecoder)
		return d.with(json.UnmarshalFromFunc(d.opaque), json.UnmarshalFromFunc(d.named))
	}},
}

// standardDecoders are for values without placeholders.
var standardDecoders = sync.Pool{ //nolint:gochecknoglobals // see binaryEncoders
	New: func() any { return new(binaryDecoder).with() },
}

func (d *binaryDecoder) with(more ...*json.Unmarshalers) *binaryDecoder {
	u := append([]*json.Unmarshalers{
		json.UnmarshalFromFunc(d.bytes), json.UnmarshalFromFunc(d.any), json.UnmarshalFromFunc(unmarshalNumber),
	}, more...)
	d.options = options(json.WithUnmarshalers(json.JoinUnmarshalers(u...)))
	return d
}

// decodeBinary decodes a value with placeholders in it.
func decodeBinary(raw []byte, attachments [][]byte, dst any) error {
	named := infoOf(reflect.TypeOf(dst)).traits&holdsNamed != 0
	return decodeWith(&binaryDecoders[pool(named)], raw, attachments, dst)
}

// decodeStandard decodes a value without placeholders. For errors, and for what it
// does not like, there is encoding/json.
func decodeStandard(raw []byte, dst any) error {
	if decodeWith(&standardDecoders, raw, nil, dst) == nil {
		return nil
	}
	return stdjson.Unmarshal(raw, dst)
}

func decodeWith(decoders *sync.Pool, raw []byte, attachments [][]byte, dst any) error {
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

// opaque reads what decodes itself. It has its own idea of what JSON means, and does
// not know of attachments, so it gets what encoding/json would have made of them.
func (d *binaryDecoder) opaque(dec *jsontext.Decoder, dst stdjson.Unmarshaler) error {
	if k := dec.PeekKind(); k != jsontext.KindBeginObject && k != jsontext.KindBeginArray {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if rawjson.HasPlaceholder(raw) {
		raw = rawjson.AppendBase64(nil, raw, d.attachments)
	}
	return dst.UnmarshalJSON(raw)
}

// any reads what has no type of its own.
func (d *binaryDecoder) any(dec *jsontext.Decoder, dst *any) error {
	if holdsPointer(*dst) {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	v, err := decodeTree(raw, d.attachments)
	if err == nil {
		*dst = v
	}
	return err
}

// unmarshalNumber is the counterpart of marshalNumber.
func unmarshalNumber(dec *jsontext.Decoder, dst *stdjson.Number) error {
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	return stdjson.Unmarshal(raw, dst)
}
