//go:build amd64 || arm64

package codecs_test

import "github.com/bytedance/sonic"

type sonicCodec struct{ api sonic.API }

func sonicCodecs() []namedCodec {
	api := sonic.Config{SortMapKeys: true, CompactMarshaler: true, CopyString: true, ValidateString: true}.Froze()
	return []namedCodec{{"sonic", sonicCodec{api}}}
}

func (c sonicCodec) Marshal(v any) ([]byte, error) { return c.api.Marshal(v) }

func (c sonicCodec) Unmarshal(data []byte, v any) error { return c.api.Unmarshal(data, v) }
