//go:build amd64 || arm64

package sio_test

import (
	"github.com/bytedance/sonic"

	sio "github.com/sioplug/sioplug/core"
)

// fastJSON is a [sio.Codec] by the library sonic. It sorts keys and sends valid
// UTF-8 only. Decoded strings need no copy of their own, since sonic decodes a copy
// of the input.
type fastJSON struct{ in, out sonic.API }

func (c fastJSON) Marshal(v any) ([]byte, error) { return c.out.Marshal(v) }

func (c fastJSON) Unmarshal(data []byte, v any) error { return c.in.Unmarshal(data, v) }

// Another library for JSON, for applications whose structs are large.
func ExampleOptions_sonic() {
	srv := sio.New(&sio.Options{JSON: fastJSON{
		in:  sonic.Config{}.Froze(),
		out: sonic.Config{SortMapKeys: true, CompactMarshaler: true, ValidateString: true}.Froze(),
	}})
	type order struct {
		ID    string
		Items map[string]int
	}
	srv.On("order", sio.Reply(func(_ *sio.Ctx, o order) (order, error) {
		o.Items["tea"]++
		return o, nil
	}))

	talk(srv, `420["order",{"ID":"7","Items":{"tea":1,"milk":2}}]`)
	// Output:
	// > 420["order",{"ID":"7","Items":{"tea":1,"milk":2}}]
	// < 430[{"ID":"7","Items":{"milk":2,"tea":2}}]
}
