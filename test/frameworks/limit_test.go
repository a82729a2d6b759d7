package frameworks_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"
	fiber2 "github.com/gofiber/fiber/v2"
	fiber2limiter "github.com/gofiber/fiber/v2/middleware/limiter"
	fiber3 "github.com/gofiber/fiber/v3"
	fiber3limiter "github.com/gofiber/fiber/v3/middleware/limiter"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5mw "github.com/labstack/echo/v5/middleware"
	"github.com/ulule/limiter/v3"
	ginlimiter "github.com/ulule/limiter/v3/drivers/middleware/gin"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// Limits on requests count each request of a client that polls, and a WebSocket
// once. A request that is refused does not end its session.
func TestRateLimits(t *testing.T) {
	const most = 3
	mounts{
		"gin": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			store := memory.NewStoreWithOptions(limiter.StoreOptions{CleanUpInterval: 0})
			return onGin(ginlimiter.NewMiddleware(limiter.New(store, limiter.Rate{Limit: most, Period: time.Hour})))(t, srv)
		},
		"echo": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			return onEcho(echo4mw.RateLimiter(echo4mw.NewRateLimiterMemoryStoreWithConfig(
				echo4mw.RateLimiterMemoryStoreConfig{Rate: 0.0001, Burst: most, ExpiresIn: time.Hour},
			)))(t, srv)
		},
		"echov5": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			return onEchoV5(echo5mw.RateLimiter(echo5mw.NewRateLimiterMemoryStoreWithConfig(
				echo5mw.RateLimiterMemoryStoreConfig{Rate: 0.0001, Burst: most, ExpiresIn: time.Hour},
			)))(t, srv)
		},
		"fiber": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			return onFiber(fiber2limiter.New(fiber2limiter.Config{Max: most, Expiration: time.Hour}))(t, srv)
		},
		"fiberv3": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			return onFiberV3(fiber3limiter.New(fiber3limiter.Config{Max: most, Expiration: time.Hour}))(t, srv)
		},
		"chi": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			return onChi(httprate.LimitBy(most, time.Hour, httprate.Key("*")))(t, srv)
		},
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		t.Run("polling", func(t *testing.T) {
			srv, d := mount.Serve(t, nil, echo)
			c := d.Polling(t)
			c.Connect("/", "") // a POST and a GET
			if got := post(t, d, c.SID(), `42["echo","refused"]`); got.status != http.StatusTooManyRequests {
				t.Errorf("status %d", got.status)
			}
			if n := srv.ClientsCount(); n != 1 {
				t.Errorf("%d sessions", n)
			}
		})
		t.Run("websocket", func(t *testing.T) {
			_, d := mount.Serve(t, nil, echo)
			c := d.WebSocket(t)
			c.Connect("/", "")
			for i := range 10 * most {
				event := fmt.Sprintf(`42["echo","%d"]`, i)
				c.Send(event)
				c.Want(event)
			}
		})
	})
}

// What is larger than a middleware or a server allows, but not than
// MaxHTTPBufferSize, is answered 413, and the session goes on, over the same
// connection or another one. WebSockets are not limited.
func TestBodyLimits(t *testing.T) {
	const limit = 2000
	mounts{
		"gin": onGin(func(c *gin.Context) {
			c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
		}),
		"echo":    onEcho(echo4mw.BodyLimit(fmt.Sprint(limit))),
		"echov5":  onEchoV5(echo5mw.BodyLimit(limit)),
		"fiber":   onFiberWith(fiber2.Config{BodyLimit: limit}),
		"fiberv3": onFiberV3With(fiber3.Config{BodyLimit: limit}),
		"chi":     onChi(chimw.RequestSize(limit)),
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		text := make([]byte, limit)
		for i := range text {
			text[i] = 'x'
		}
		event := fmt.Sprintf(`42["echo",%q]`, text)
		quiet := slog.New(slog.DiscardHandler) // Fiber's limit is a warning
		_, d := mount.Serve(t, &sio.Options{MaxHTTPBufferSize: 2 * limit, Logger: quiet}, echo)
		c := d.Polling(t)
		c.Connect("/", "")
		if got := post(t, d, c.SID(), event); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d: %s", got.status, got.body)
		}
		c.Send(`42["echo","alive"]`)
		c.Want(`42["echo","alive"]`)
		c.Upgrade()
		c.Send(event)
		c.Want(event)
	})
}
