package msgpack_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

// page returns an event of about 1 KiB of JSON.
func page() *parser.Packet {
	var users []string
	for i := range 8 {
		users = append(users, fmt.Sprintf(
			`{"id":%d,"name":"User Number %d","email":"user%d@example.org","active":true,"score":%d.25,"tags":["alpha","beta"]}`, i, i, i, i))
	}
	return &parser.Packet{
		Type: parser.Event, Namespace: "/", Data: []byte(`["page",{"room":"lobby","users":[` + strings.Join(users, ",") + `]}]`),
	}
}

func packets() map[string]*parser.Packet {
	file := hello()
	file.Attachments[0] = make([]byte, 1024)
	return map[string]*parser.Packet{
		"small": {Type: parser.Event, Namespace: "/", Data: []byte(`["echo","` + strings.Repeat("x", 100) + `"]`)},
		"1KiB":  page(),
		"bytes": file,
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, p := range packets() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p.Data)))
			for b.Loop() {
				if _, err := (msgpack.Parser{}).Encode(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, p := range packets() {
		in := parser.Message{Binary: true, Data: encode(b, p)}
		d := msgpack.Parser{}.NewDecoder(limits)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(in.Data)))
			for b.Loop() {
				if _, err := d.Decode(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
