package fasthttpx

import (
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkRequest is what a poll of a browser costs before the engine sees it.
func BenchmarkRequest(b *testing.B) {
	ctx := new(fasthttp.RequestCtx)
	ctx.Request.SetRequestURI("/socket.io/?EIO=4&transport=polling&t=OaBcDeF&sid=AbCdEfGhIjKlMnOpQrSt")
	for k, v := range map[string]string{
		"Host":            "chat.example.com",
		"User-Agent":      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
		"Accept":          "*/*",
		"Accept-Encoding": "gzip, deflate, br",
		"Accept-Language": "en-US,en;q=0.9",
		"Origin":          "https://chat.example.com",
		"Referer":         "https://chat.example.com/",
		"Cookie":          "session=0123456789abcdef0123456789abcdef",
		"Sec-Fetch-Mode":  "cors",
		"Sec-Fetch-Site":  "same-origin",
	} {
		ctx.Request.Header.Set(k, v)
	}
	b.ReportAllocs()
	for b.Loop() {
		request(ctx, "192.0.2.1")
	}
}
