package frameworks_test

import (
	"io"
	"testing"

	"github.com/gin-contrib/cors"
	"github.com/gin-contrib/gzip"
	ginrequestid "github.com/gin-contrib/requestid"
	ginsecure "github.com/gin-contrib/secure"
	"github.com/gin-gonic/gin"
	chimw "github.com/go-chi/chi/v5/middleware"
	chicors "github.com/go-chi/cors"
	fiber2compress "github.com/gofiber/fiber/v2/middleware/compress"
	fiber2cors "github.com/gofiber/fiber/v2/middleware/cors"
	fiber2etag "github.com/gofiber/fiber/v2/middleware/etag"
	fiber2helmet "github.com/gofiber/fiber/v2/middleware/helmet"
	fiber2logger "github.com/gofiber/fiber/v2/middleware/logger"
	fiber2recover "github.com/gofiber/fiber/v2/middleware/recover"
	fiber2requestid "github.com/gofiber/fiber/v2/middleware/requestid"
	fiber3compress "github.com/gofiber/fiber/v3/middleware/compress"
	fiber3cors "github.com/gofiber/fiber/v3/middleware/cors"
	fiber3etag "github.com/gofiber/fiber/v3/middleware/etag"
	fiber3helmet "github.com/gofiber/fiber/v3/middleware/helmet"
	fiber3logger "github.com/gofiber/fiber/v3/middleware/logger"
	fiber3recover "github.com/gofiber/fiber/v3/middleware/recover"
	fiber3requestid "github.com/gofiber/fiber/v3/middleware/requestid"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5mw "github.com/labstack/echo/v5/middleware"

	"github.com/sioplug/sioplug/core/siotest"
)

// What many applications have around everything does no harm.
func TestTheUsualStack(t *testing.T) {
	mounts{
		"gin": onGin(
			gin.LoggerWithWriter(io.Discard), gin.RecoveryWithWriter(io.Discard), ginrequestid.New(),
			ginsecure.New(ginsecure.Config{FrameDeny: true}), cors.Default(), gzip.Gzip(gzip.DefaultCompression),
		),
		"echo": onEcho(
			echo4mw.LoggerWithConfig(echo4mw.LoggerConfig{Output: io.Discard}), echo4mw.Recover(), echo4mw.RequestID(), //nolint:staticcheck // in wide use
			echo4mw.Secure(), echo4mw.CORS(), echo4mw.Gzip(), echo4mw.Decompress(),
		),
		"echov5": onEchoV5(
			echo5mw.RequestLoggerWithConfig(echo5mw.RequestLoggerConfig{
				LogStatus: true, LogValuesFunc: func(*echo5.Context, echo5mw.RequestLoggerValues) error { return nil },
			}),
			echo5mw.Recover(), echo5mw.RequestID(), echo5mw.Secure(), echo5mw.CORS("*"), echo5mw.Gzip(), echo5mw.Decompress(),
		),
		"fiber": onFiber(
			fiber2logger.New(fiber2logger.Config{Output: io.Discard}), fiber2recover.New(), fiber2requestid.New(),
			fiber2helmet.New(), fiber2cors.New(), fiber2etag.New(), fiber2compress.New(),
		),
		"fiberv3": onFiberV3(
			fiber3logger.New(fiber3logger.Config{Stream: io.Discard}), fiber3recover.New(), fiber3requestid.New(),
			fiber3helmet.New(), fiber3cors.New(), fiber3etag.New(), fiber3compress.New(),
		),
		"chi": onChi(
			chimw.Recoverer, chimw.RequestID, chicors.Handler(chicors.Options{}), chimw.NoCache, chimw.CleanPath,
			chimw.Compress(5), chimw.GetHead, chimw.Heartbeat("/ping"), chimw.Throttle(1000),
		),
	}.each(t, func(t *testing.T, mount siotest.Mount) { siotest.Run(t, mount, siotest.Brief()) })
}
