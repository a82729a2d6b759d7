package packet_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/benchdata"
	"github.com/sioplug/sioplug/internal/packet"
)

type upload struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

func BenchmarkDecodeEvent(b *testing.B) {
	wire, _, err := packet.AppendEvent(nil, nil, packet.Header{}, "page", []any{benchdata.NewPage()})
	if err != nil {
		b.Fatal(err)
	}
	small := `2["echo","` + strings.Repeat("x", 100) + `"]`
	for _, c := range []struct {
		name string
		in   []byte
		dst  func() any
	}{
		{"small", []byte(small), nil},
		{"small to string", []byte(small), func() any { return new(string) }},
		{"id and namespace", []byte(`2/chat,17["say","hello",42,true]`), nil},
		{"1KiB", wire, nil},
		{"1KiB to struct", wire, func() any { return new(benchdata.Page) }},
		{"1KiB of text", []byte(`2["echo","` + strings.Repeat("x", 1000) + `"]`), nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			var d packet.Decoder
			b.SetBytes(int64(len(c.in)))
			b.ReportAllocs()
			for b.Loop() {
				k, _, err := d.Text(c.in)
				if err != nil {
					b.Fatal(err)
				}
				if c.dst == nil {
					continue
				}
				if err := k.Args.Decode(nil, c.dst()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeEvent(b *testing.B) {
	p := benchdata.NewPage()
	wire, err := json.Marshal(p)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 1024)
	for _, c := range []struct {
		name string
		args []any
	}{
		{"small", []any{strings.Repeat("x", 100)}},
		{"1KiB struct", []any{&p}},
		{"1KiB raw", []any{json.RawMessage(wire)}},
		{"bytes", []any{data}},
		{"struct with bytes", []any{&upload{"n", data}}},
		{"struct with named bytes", []any{&file{Name: "n", Thumb: data}}},
		{"map with bytes", []any{map[string]any{"name": "n", "data": data, "list": []any{1.0, "x"}}}},
		{"map without bytes", []any{map[string]any{"name": "n", "list": []any{1.0, "x"}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := packet.AppendEvent(dst, nil, packet.Header{}, "echo", c.args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeBinary(b *testing.B) {
	data := make([]byte, 1024)
	header := []byte(`51-["file",{"name":"n","data":{"_placeholder":true,"num":0}}]`)
	for _, c := range []struct {
		name string
		dst  func() any
	}{
		{"packet", nil},
		{"to struct", func() any { return new(upload) }},
		{"to any", func() any { return new(any) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var d packet.Decoder
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := d.Text(header); err != nil {
					b.Fatal(err)
				}
				k, _, err := d.Binary(data)
				if err != nil {
					b.Fatal(err)
				}
				if c.dst == nil {
					continue
				}
				if err := k.Args.Decode(nil, c.dst()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
