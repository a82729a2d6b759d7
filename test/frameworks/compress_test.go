package frameworks_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	gingzip "github.com/gin-contrib/gzip"
	chimw "github.com/go-chi/chi/v5/middleware"
	fiber2compress "github.com/gofiber/fiber/v2/middleware/compress"
	fiber3compress "github.com/gofiber/fiber/v3/middleware/compress"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5mw "github.com/labstack/echo/v5/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// The answers to polls are compressed once, by the engine or by middleware. The answer that
// opens a WebSocket is not.
func TestCompression(t *testing.T) {
	large := `42["echo","` + strings.Repeat("x", 10_000) + `"]`
	mounts{
		"gin":     onGin(gingzip.Gzip(gingzip.DefaultCompression)),
		"echo":    onEcho(echo4mw.Gzip()),
		"echov5":  onEchoV5(echo5mw.Gzip()),
		"fiber":   onFiber(fiber2compress.New()),
		"fiberv3": onFiberV3(fiber3compress.New()),
		"chi":     onChi(chimw.Compress(5, "text/plain")),
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		for name, opts := range map[string]*sio.Options{"both": nil, "the framework": {DisableHTTPCompression: true}} {
			t.Run(name, func(t *testing.T) {
				_, d := mount.Serve(t, opts, echo)
				c := d.Polling(t)
				c.Connect("/", "")
				c.Send(large)
				got := poll(t, d, c.SID(), "Accept-Encoding", "gzip")
				if got.status != http.StatusOK || strings.Join(got.header["Content-Encoding"], ",") != "gzip" {
					t.Errorf("status %d, header %v", got.status, got.header)
				}
				if text := unzip(t, got.body); text != large {
					t.Errorf("%d bytes instead of %d", len(text), len(large))
				}
				got = open(t, d, "websocket", "Accept-Encoding", "gzip")
				if got.status != http.StatusSwitchingProtocols || got.header.Get("Content-Encoding") != "" {
					t.Errorf("websocket: status %d, header %v", got.status, got.header)
				}
			})
		}
	})
}

func unzip(t *testing.T, s string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, r); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
