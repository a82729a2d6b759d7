package packet

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/sioplug/sioplug/internal/rawjson"
	"github.com/sioplug/sioplug/internal/rescue"
)

// This file encodes the values that hold attachments, and binary_decode.go
// decodes them. That needs an encoder that asks us about single values inside
// of others, which encoding/json cannot; the options make the other one read
// struct tags and everything else as encoding/json does.

// options returns the rules of encoding/json, without escapes for HTML, and
// with exceptions.
func options(exceptions json.Options) json.Options {
	return json.JoinOptions(
		jsonv1.DefaultOptionsV1(),
		jsontext.EscapeForHTML(false),
		jsontext.EscapeForJS(false),
		exceptions,
	)
}

// A binaryEncoder is one use of the encoder after another. The encoder keeps
// what it learns about types with its options, and only through the options does
// it get to know where attachments go: so both are kept together, in a pool.
type binaryEncoder struct {
	options     json.Options
	attachments [][]byte
	ends        []int // where the placeholders end in what is written
	scratch     []byte
}

// binaryEncoders has encoders for values without named byte slices, and for
// others. The latter are asked about every single value, which makes them three
// times slower.
var binaryEncoders = [2]sync.Pool{ //nolint:gochecknoglobals // pools of caches
	{New: func() any { return newBinaryEncoder(false) }},
	{New: func() any { return newBinaryEncoder(true) }},
}

func newBinaryEncoder(named bool) *binaryEncoder {
	e := new(binaryEncoder)
	m := json.JoinMarshalers(json.MarshalToFunc(e.bytes), json.MarshalToFunc(marshalNumber))
	if named {
		m = json.JoinMarshalers(m, json.MarshalToFunc(e.named))
	}
	e.options = options(json.WithMarshalers(m))
	return e
}

// pool returns the index of a pool.
func pool(named bool) int {
	if named {
		return 1
	}
	return 0
}

// binary writes a value with attachments in it. Named tells whether some of these have
// types with names.
func (e *encoder) binary(v any, named bool) error {
	encoders := &binaryEncoders[pool(named)]
	b := encoders.Get().(*binaryEncoder) //nolint:forcetypeassert,errcheck // nothing else is in there
	b.attachments, b.ends = e.attachments, b.ends[:0]
	start := len(e.dst)
	buf := bytes.NewBuffer(e.dst)
	err := rescue.Call(func() error { return json.MarshalWrite(buf, v, b.options) })
	if rescue.Panicked(err) {
		return err // and who knows what is left of the encoder
	}
	if err == nil {
		e.dst = buf.Bytes()
		if e.hide {
			e.dst = append(e.dst[:start], b.hideNames(e.dst[start:], len(e.attachments))...)
		}
		e.attachments = b.attachments
	}
	b.attachments = nil
	encoders.Put(b)
	return err
}

// hideNames returns what was written with the names of what looks like placeholders
// changed, but not those of placeholders, which were written from number first on.
func (e *binaryEncoder) hideNames(p []byte, first int) []byte {
	var out []byte
	done := 0
	for i, end := range e.ends {
		e.scratch = rawjson.AppendPlaceholder(e.scratch[:0], first+i)
		out = append(append(out, rawjson.HideNames(p[done:end-len(e.scratch)])...), e.scratch...)
		done = end
	}
	return append(out, rawjson.HideNames(p[done:])...)
}

// bytes writes a byte slice.
func (e *binaryEncoder) bytes(enc *jsontext.Encoder, b []byte) error {
	if b == nil {
		return enc.WriteToken(jsontext.Null)
	}
	e.scratch = rawjson.AppendPlaceholder(e.scratch[:0], len(e.attachments))
	e.attachments = append(e.attachments, b)
	err := enc.WriteValue(e.scratch)
	e.ends = append(e.ends, int(enc.OutputOffset()))
	return err
}

// named gets a pointer to any value, and writes it if it is a byte slice.
func (e *binaryEncoder) named(enc *jsontext.Encoder, v any) error {
	if b := reflect.ValueOf(v).Elem(); isBytes(b.Type()) {
		return e.bytes(enc, b.Bytes())
	}
	return errors.ErrUnsupported // which means the usual way
}

// marshalNumber writes the number type of encoding/json, which the other
// package takes for any string.
func marshalNumber(enc *jsontext.Encoder, n stdjson.Number) error {
	p, err := stdjson.Marshal(n)
	if err != nil {
		return err
	}
	return enc.WriteValue(p)
}
