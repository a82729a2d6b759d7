//go:build amd64 || arm64

package main

import "github.com/bytedance/sonic"

// sonicCodec is configured as [sio.Codec] and encoding/json have it, not as fast as sonic
// can be: valid UTF-8 in all that goes out, and sorted keys. Strings that come in need no copy
// of their own, since Unmarshal decodes a copy of its input.
type sonicCodec struct{ in, out sonic.API }

//nolint:gochecknoinits // one of the codecs, where it compiles
func init() {
	codecs["sonic"] = sonicCodec{
		in:  sonic.Config{}.Froze(),
		out: sonic.Config{SortMapKeys: true, CompactMarshaler: true, ValidateString: true}.Froze(),
	}
}

func (c sonicCodec) Marshal(v any) ([]byte, error) { return c.out.Marshal(v) }

func (c sonicCodec) Unmarshal(data []byte, v any) error { return c.in.Unmarshal(data, v) }
