package frameworks_test

import (
	"log/slog"
	"testing"

	"github.com/gin-gonic/gin"
	fiber2 "github.com/gofiber/fiber/v2"
	fiber2recover "github.com/gofiber/fiber/v2/middleware/recover"
	fiber3 "github.com/gofiber/fiber/v3"
	fiber3recover "github.com/gofiber/fiber/v3/middleware/recover"
	echo4 "github.com/labstack/echo/v4"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5mw "github.com/labstack/echo/v5/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// Panics of handlers are sioplug's: what recovers from those of HTTP handlers
// sees none of them, whichever transport brought the event.
func TestRecover(t *testing.T) {
	recovered := make(chan any, 100)
	mounts{
		"gin": onGin(gin.CustomRecovery(func(_ *gin.Context, v any) { recovered <- v })),
		"echo": onEcho(echo4mw.RecoverWithConfig(echo4mw.RecoverConfig{
			LogErrorFunc: func(_ echo4.Context, err error, _ []byte) error { recovered <- err; return err },
		})),
		"echov5": onEchoV5(
			func(next echo5.HandlerFunc) echo5.HandlerFunc {
				return func(c *echo5.Context) error {
					err := next(c)
					if err != nil {
						recovered <- err
					}
					return err
				}
			},
			echo5mw.Recover(),
		),
		"fiber": onFiber(fiber2recover.New(fiber2recover.Config{
			EnableStackTrace: true, StackTraceHandler: func(_ *fiber2.Ctx, v any) { recovered <- v },
		})),
		"fiberv3": onFiberV3(fiber3recover.New(fiber3recover.Config{
			EnableStackTrace: true, StackTraceHandler: func(_ fiber3.Ctx, v any) { recovered <- v },
		})),
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
			quiet := &sio.Options{Logger: slog.New(slog.DiscardHandler)}
			_, d := mount.Serve(t, quiet, func(srv *sio.Server) {
				srv.On("panic", func(*sio.Ctx) error { panic("on purpose") })
			})
			c := open(t, d)
			c.Connect("/", "")
			c.Send(`421["panic"]`)
			c.Want(`431[{"error":{"message":"internal error"}}]`)
			if len(recovered) > 0 {
				t.Errorf("the framework saw: %v", <-recovered)
			}
		})
	})
}
