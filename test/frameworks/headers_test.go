package frameworks_test

import (
	"testing"

	ginrequestid "github.com/gin-contrib/requestid"
	ginsecure "github.com/gin-contrib/secure"
	chimw "github.com/go-chi/chi/v5/middleware"
	fiber2 "github.com/gofiber/fiber/v2"
	fiber2helmet "github.com/gofiber/fiber/v2/middleware/helmet"
	fiber2requestid "github.com/gofiber/fiber/v2/middleware/requestid"
	fiber3 "github.com/gofiber/fiber/v3"
	fiber3helmet "github.com/gofiber/fiber/v3/middleware/helmet"
	fiber3requestid "github.com/gofiber/fiber/v3/middleware/requestid"
	echo4 "github.com/labstack/echo/v4"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5mw "github.com/labstack/echo/v5/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// Headers that middleware sets are in every answer, also in the one that opens a
// WebSocket.
func TestSecureHeaders(t *testing.T) {
	mounts{
		"gin":     onGin(ginsecure.New(ginsecure.Config{FrameDeny: true})),
		"echo":    onEcho(echo4mw.SecureWithConfig(echo4mw.SecureConfig{XFrameOptions: "DENY"})),
		"echov5":  onEchoV5(echo5mw.SecureWithConfig(echo5mw.SecureConfig{XFrameOptions: "DENY"})),
		"fiber":   onFiber(fiber2helmet.New(fiber2helmet.Config{XFrameOptions: "DENY"})),
		"fiberv3": onFiberV3(fiber3helmet.New(fiber3helmet.Config{XFrameOptions: "DENY"})),
		"chi":     onChi(chimw.SetHeader("X-Frame-Options", "DENY")),
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		_, d := mount.Serve(t, nil, echo)
		for transport, status := range statuses {
			got := open(t, d, transport)
			if h := got.header.Get("X-Frame-Options"); got.status != status || h != "DENY" {
				t.Errorf("%s: status %d, X-Frame-Options %q", transport, got.status, h)
			}
		}
	})
}

// A request's id is in the answers, and what it was for the request that opened
// the connection is there in handlers.
func TestRequestID(t *testing.T) {
	const id = "X-Request-Id"
	for name, tt := range map[string]struct {
		mount siotest.Mount
		id    func(s *sio.Socket) string
	}{
		"gin": {
			onGin(ginrequestid.New()),
			func(s *sio.Socket) string { return ginrequestid.Get(siogin.Context(s)) },
		},
		"echo": {
			onEcho(echo4mw.RequestIDWithConfig(echo4mw.RequestIDConfig{
				RequestIDHandler: func(c echo4.Context, id string) { c.Set("id", id) },
			})),
			func(s *sio.Socket) string { id, _ := sioecho.ContextGet[string](s, "id"); return id },
		},
		"echov5": {
			onEchoV5(echo5mw.RequestIDWithConfig(echo5mw.RequestIDConfig{
				RequestIDHandler: func(c *echo5.Context, id string) { c.Set("id", id) },
			})),
			func(s *sio.Socket) string { id, _ := sioechov5.ContextGet[string](s, "id"); return id },
		},
		"fiber": {
			onFiber(fiber2requestid.New(), func(c *fiber2.Ctx) error { return c.Next() }),
			func(s *sio.Socket) string {
				return siofiber.Locals[string](s, fiber2requestid.ConfigDefault.ContextKey)
			},
		},
		"fiberv3": {
			onFiberV3(fiber3requestid.New(), func(c fiber3.Ctx) error {
				c.Locals("id", fiber3requestid.FromContext(c))
				return c.Next()
			}),
			func(s *sio.Socket) string { return siofiberv3.Locals[string](s, "id") },
		},
		"chi": {
			onChi(chimw.RequestID),
			func(s *sio.Socket) string { return chimw.GetReqID(s.Handshake().Context) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
				_, d := tt.mount.Serve(t, nil, func(srv *sio.Server) {
					srv.On("id", func(c *sio.Ctx) error { return c.Ack(tt.id(c.Socket)) })
				})
				d.Header = map[string][]string{id: {"from-the-proxy"}}
				c := open(t, d)
				c.Connect("/", "")
				c.Send(`421["id"]`)
				c.Want(`431["from-the-proxy"]`)
			})
		})
	}
}
