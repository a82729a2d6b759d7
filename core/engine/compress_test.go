package engine_test

import (
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func accepting(encodings string) http.Header {
	if encodings == "" {
		return http.Header{}
	}
	return http.Header{"Accept-Encoding": {encodings}}
}

// unpack returns the body of an answer as a client sees it.
func unpack(tb testing.TB, a enginetest.Answer) string {
	tb.Helper()
	var r io.Reader = strings.NewReader(a.Body)
	var err error
	switch a.Header.Get("Content-Encoding") {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return string(body)
}

func TestHTTPCompression(t *testing.T) {
	for _, c := range []struct {
		name   string
		opts   engine.Options
		accept string
		bytes  int // of the body, "4" and text
		want   string
	}{
		{"EIO-HC-2 client's order: gzip", engine.Options{}, "gzip, deflate", 1024, "gzip"},
		{"EIO-HC-2 client's order: deflate", engine.Options{}, "deflate, gzip", 1024, "deflate"},
		{"EIO-HC-2 deflate alone", engine.Options{}, "deflate", 1024, "deflate"},
		{"EIO-HC-2 quality", engine.Options{}, "gzip;q=0.5, deflate", 1024, "deflate"},
		{"EIO-HC-2 quality, with spaces", engine.Options{}, "deflate ; q=0.4 , GZIP ; Q=0.5", 1024, "gzip"},
		{"EIO-HC-2 anything", engine.Options{}, "*", 1024, "gzip"},
		{"EIO-HC-2 anything else", engine.Options{}, "gzip;q=0, *", 1024, "deflate"},
		{"EIO-HC-2 what is named counts first", engine.Options{}, "*, deflate;q=0.1", 1024, "gzip"},
		{"EIO-HC-2 browsers", engine.Options{}, "gzip, deflate, br, zstd", 1024, "gzip"},
		{"EIO-HC-2 brotli", engine.Options{}, "br", 1024, ""},
		{"EIO-HC-2 identity", engine.Options{}, "identity", 1024, ""},
		{"EIO-HC-2 x-gzip", engine.Options{}, "x-gzip", 1024, ""},
		{"EIO-HC-2 not gzip", engine.Options{}, "gzip;q=0", 1024, ""},
		{"EIO-HC-2 not anything", engine.Options{}, "*;q=0", 1024, ""},
		{"EIO-HC-2 no number", engine.Options{}, "gzip;q=x", 1024, ""},
		{"EIO-HC-1 no header", engine.Options{}, "", 1024, ""},
		{"EIO-HC-1 below the threshold", engine.Options{}, "gzip", 1023, ""},
		{"EIO-HC-4 another threshold", engine.Options{HTTPCompressionThreshold: 1}, "gzip", 10, "gzip"},
		{"EIO-HC-4 disabled", engine.Options{DisableHTTPCompression: true}, "gzip", 4096, ""},
		{"EIO-HC-4 level", engine.Options{HTTPCompressionLevel: gzip.BestSpeed}, "gzip", 4096, "gzip"},
	} {
		inBubble(t, c.name, c.opts, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			text := strings.Repeat("x", c.bytes-1)
			for range 2 { // with a writer that was used before
				p.Send(text)
				a := k.Do(enginetest.Request{Query: p.Query(), Header: accepting(c.accept)})
				same(t, "encoding", a.Header.Get("Content-Encoding"), c.want)
				same(t, "body", unpack(t, a), "4"+text)
				same(t, "EIO-HC-3 vary", a.Header.Get("Vary"), "")
			}
		})
	}
}

func TestHTTPCompressionOfOtherAnswers(t *testing.T) {
	all := engine.Options{HTTPCompressionThreshold: 1}
	inBubble(t, "EIO-HC-1", all, func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling, Header: accepting("gzip")})
		same(t, "handshake", a.Header.Get("Content-Encoding"), "gzip")
		sid := unpack(t, a)[len(`0{"sid":"`):][:20]
		for what, r := range map[string]enginetest.Request{
			"200 POST":       {Method: http.MethodPost, Body: strings.NewReader("4x"), Query: polling + "&sid=" + sid},
			"400 error":      {Query: "transport=x"},
			"405 bad method": {Method: http.MethodPut, Query: polling + "&sid=" + sid},
		} {
			r.Header = accepting("gzip")
			a := k.Do(r)
			same(t, what, strconv.Itoa(a.Status), what[:3])
			same(t, what, a.Header.Get("Content-Encoding"), "")
		}
		h := enginetest.Handshake()
		h.Set("Accept-Encoding", "gzip")
		same(t, "101", k.DialRequest(enginetest.Request{Query: websocket, Header: h}).Head.Header.Get("Content-Encoding"), "")
	})
	inBubble(t, "EIO-HC-6 bodies of requests are taken as they are", all, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		a := k.Do(enginetest.Request{
			Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("4x"),
			Header: http.Header{"Content-Encoding": {"gzip"}},
		})
		same(t, "answer", a.String(), "200 ok")
		same(t, "messages", strings.Join(p.Messages(), "|"), "x")
	})
}

func TestHTTPCompressionOnTheWire(t *testing.T) {
	k := enginetest.New(t, engine.Options{})
	web := k.Listen()
	p := k.OpenPolling()
	text := strings.Repeat("hello ", 1000)
	p.Send(text)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/?"+p.Query(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := web.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "EIO-HC-3 length", res.Header.Get("Content-Length"), strconv.Itoa(len(body)))
	same(t, "EIO-HC-3 body", unpack(t, enginetest.Answer{Header: res.Header, Body: string(body)}), "4"+text)
	if len(body) > len(text)/10 {
		t.Errorf("%d bytes became %d", len(text), len(body))
	}
}

// A round trip is a message of 2 KB in a POST and its echo in a poll.
func BenchmarkPollingRoundTrip(b *testing.B) {
	text := strings.Repeat(`["message",{"id":1234,"name":"Ada"}]`, 57)
	for _, accept := range []string{"", "gzip", "deflate"} {
		b.Run("accept="+accept, func(b *testing.B) {
			k := enginetest.New(b, engine.Options{})
			k.OnMessage = enginetest.Echo
			p := k.OpenPolling()
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			sent := 0
			for b.Loop() {
				p.Post("4" + text)
				sent += len(k.Do(enginetest.Request{Query: p.Query(), Header: accepting(accept)}).Body)
			}
			b.ReportMetric(float64(sent)/float64(b.N), "sent/op")
		})
	}
}
