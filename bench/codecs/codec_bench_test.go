package codecs_test

import (
	"encoding/json"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	goccy "github.com/goccy/go-json"

	"github.com/sioplug/sioplug/internal/benchdata"
	"github.com/sioplug/sioplug/internal/packet"
)

// The libraries that were candidates for the default codec; docs/architecture.md has
// the result. They are plugged in as a user would do it, by Options.JSON, but for the
// default one.

type namedCodec struct {
	name  string
	codec packet.Codec
}

type stdCodec struct{}

func (stdCodec) Marshal(v any) ([]byte, error) { return packet.DefaultCodec().Marshal(v) }

func (stdCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

type goccyCodec struct{}

func (goccyCodec) Marshal(v any) ([]byte, error) {
	return goccy.MarshalWithOption(v, goccy.DisableHTMLEscape())
}

func (goccyCodec) Unmarshal(data []byte, v any) error { return goccy.Unmarshal(data, v) }

// experimentCodec has the semantics of encoding/json.
type experimentCodec struct{ options jsonv2.Options }

func newExperiment() experimentCodec {
	return experimentCodec{jsonv2.JoinOptions(jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false))}
}

func (c experimentCodec) Marshal(v any) ([]byte, error) { return jsonv2.Marshal(v, c.options) }

func (c experimentCodec) Unmarshal(data []byte, v any) error {
	return jsonv2.Unmarshal(data, v, c.options)
}

type point struct {
	X, Y int
	Name string `json:"name"`
}

func BenchmarkCodec(b *testing.B) {
	wire, err := json.Marshal(benchdata.NewPage())
	if err != nil {
		b.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(wire, &tree); err != nil {
		b.Fatal(err)
	}
	small, large := point{3, -4, "somewhere"}, benchdata.NewPage()
	for _, c := range append([]namedCodec{
		{"default", nil}, {"std", stdCodec{}}, {"experiment", newExperiment()}, {"goccy", goccyCodec{}},
	}, sonicCodecs()...) {
		for _, v := range []struct {
			name  string
			value any
			dst   func() any
		}{
			{"small struct", small, func() any { return new(point) }},
			{"1KiB struct", &large, func() any { return new(benchdata.Page) }},
			{"1KiB tree", tree, func() any { return new(any) }},
		} {
			b.Run("encode/"+v.name+"/"+c.name, func(b *testing.B) {
				dst := make([]byte, 0, 4096)
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := packet.AppendEvent(dst, c.codec, packet.Header{}, "e", []any{v.value}); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("decode/"+v.name+"/"+c.name, func(b *testing.B) {
				in, _, err := packet.AppendEvent(nil, nil, packet.Header{}, "e", []any{v.value})
				if err != nil {
					b.Fatal(err)
				}
				var d packet.Decoder
				b.ReportAllocs()
				for b.Loop() {
					k, _, err := d.Text(in)
					if err == nil {
						err = k.Args.Decode(c.codec, v.dst())
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
