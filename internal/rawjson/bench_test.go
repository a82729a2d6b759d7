package rawjson_test

import (
	"bytes"
	"testing"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// What every packet costs before anything is decoded.
func BenchmarkScanList(b *testing.B) {
	item := `{"sku":"A-0001","name":"Something to sell","qty":3,"price":12.5,"tags":["new","blue"],"ok":true},`
	for name, p := range map[string][]byte{
		"text":      []byte(`["echo","` + string(bytes.Repeat([]byte("x"), 100)) + `"]`),
		"1KiB_tree": []byte(`["json",[` + string(bytes.Repeat([]byte(item), 10)) + `null]]`),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := rawjson.ScanList(p, 100); !ok {
					b.Fatal("not JSON")
				}
			}
		})
	}
}
