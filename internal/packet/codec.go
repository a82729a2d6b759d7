package packet

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/rawjson"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A Codec encodes and decodes the values that have no direct path. It must be
// safe for concurrent use. Marshal must return one valid JSON value in valid
// UTF-8, and an error for circular data. Unmarshal gets one valid JSON value,
// which it must not keep or change.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// DefaultCodec returns the codec that is used where none is given: one that does what
// encoding/json does, without escapes for HTML.
func DefaultCodec() Codec { return standardCodec{} }

func orDefault(codec Codec) Codec {
	if codec == nil {
		return standardCodec{}
	}
	return codec
}

// standardCodec encodes with encoding/json and decodes with a library that does the
// same in less time: docs/architecture.md has the measurements.
type standardCodec struct{}

func (standardCodec) Marshal(v any) ([]byte, error) { return appendStandard(nil, v) }

func (standardCodec) Unmarshal(data []byte, v any) error { return decodeStandard(data, v) }

// appendStandard is Marshal for a caller that has the memory.
func appendStandard(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil // Encode ends a line
}

// appendCodec appends what codec makes of v.
func appendCodec(dst []byte, codec Codec, v any) ([]byte, error) {
	codec = orDefault(codec)
	p := dst
	err := rescue.Call(func() (err error) {
		if _, ok := codec.(standardCodec); ok {
			p, err = appendStandard(dst, v)
			return err
		}
		var value []byte
		if value, err = codec.Marshal(v); err == nil {
			p = append(p, value...)
		}
		return err
	})
	if err != nil {
		return dst, err
	}
	return p, nil
}

// Unmarshal decodes one value with codec, or [DefaultCodec] if that is nil. Methods
// of the value may panic, which is an error.
func Unmarshal(codec Codec, data []byte, dst any) error {
	return rescue.Call(func() error { return orDefault(codec).Unmarshal(data, dst) })
}

// validJSON reports whether a peer with our own limits would accept p.
func validJSON(p []byte) bool {
	return utf8.Valid(p) && rawjson.Scan(p, MaxDepth-1)
}
