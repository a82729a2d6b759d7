// Package proxies_test shows that limits by address, which know no framework, count
// clients as each framework tells them apart behind a proxy that it trusts.
package proxies_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	fiberv3 "github.com/gofiber/fiber/v3"
	"github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	goleak.VerifyTestMain(m,
		// fasthttp's own, which sleep for seconds before they see that they are done.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
}

// proxy is where requests come from, as the servers see it.
const proxy = "127.0.0.1"

// What a framework is told about proxies.
const (
	nothing    = iota // its default
	trustNone         // there is none
	trustProxy        // there is this one
)

// mounts serve a server behind a framework that is told something about proxies.
var mounts = map[string]func(t *testing.T, srv *sio.Server, told int) siotest.Dialer{
	"gin": func(t *testing.T, srv *sio.Server, told int) siotest.Dialer {
		r := gin.New()
		var err error
		switch told {
		case trustNone:
			err = r.SetTrustedProxies(nil)
		case trustProxy:
			err = r.SetTrustedProxies([]string{proxy})
		}
		if err != nil {
			t.Fatal(err)
		}
		siogin.Mount(r, srv)
		return siotest.Loopback(t, r)
	},
	"echo": func(t *testing.T, srv *sio.Server, told int) siotest.Dialer {
		e := echo.New()
		switch told {
		case trustNone:
			e.IPExtractor = echo.ExtractIPDirect()
		case trustProxy:
			e.IPExtractor = echo.ExtractIPFromXFFHeader()
		}
		sioecho.Mount(e, srv)
		return siotest.Loopback(t, e)
	},
	"echov5": func(t *testing.T, srv *sio.Server, told int) siotest.Dialer {
		e := echov5.New()
		switch told {
		case trustNone:
			e.IPExtractor = echov5.ExtractIPDirect()
		case trustProxy:
			e.IPExtractor = echov5.ExtractIPFromXFFHeader()
		}
		sioechov5.Mount(e, srv)
		return siotest.Loopback(t, e)
	},
	"fiber": func(t *testing.T, srv *sio.Server, told int) siotest.Dialer {
		config := fiber.Config{DisableStartupMessage: true}
		if told == trustProxy {
			config.EnableTrustedProxyCheck, config.TrustedProxies = true, []string{proxy}
			config.ProxyHeader = fiber.HeaderXForwardedFor
		}
		app := fiber.New(config)
		siofiber.Mount(app, srv)
		return serve(t, app.Listener, app.ShutdownWithContext)
	},
	"fiberv3": func(t *testing.T, srv *sio.Server, told int) siotest.Dialer {
		var config fiberv3.Config
		if told == trustProxy {
			config.TrustProxy, config.TrustProxyConfig = true, fiberv3.TrustProxyConfig{Proxies: []string{proxy}}
			config.ProxyHeader = fiberv3.HeaderXForwardedFor
		}
		app := fiberv3.New(config)
		siofiberv3.Mount(app, srv)
		return serve(t, func(l net.Listener) error {
			return app.Listener(l, fiberv3.ListenConfig{DisableStartupMessage: true})
		}, app.ShutdownWithContext)
	},
}

// serve runs an app on a port of this machine until the test ends.
func serve(t *testing.T, run func(net.Listener) error, stop func(context.Context) error) siotest.Dialer {
	t.Helper()
	l, err := net.Listen("tcp", proxy+":0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- run(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
}

// newServer returns a server with all limits by address: three handshakes, two connects and
// one event.
func newServer(t *testing.T) *sio.Server {
	t.Helper()
	srv := sio.New(&sio.Options{UseRequest: []func(http.Header, *sio.Request) error{ratelimit.Handshakes(3, time.Hour)}})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	srv.UseConnect(ratelimit.PerIP(2, time.Hour))
	srv.On("post", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return c.Address(), nil }), ratelimit.PerIP(1, time.Hour))
	return srv
}

// via returns the way to a server through the proxy, for a client with this
// address.
func via(d siotest.Dialer, client string) siotest.Dialer {
	d.Header = http.Header{"X-Forwarded-For": {client}}
	return d
}

// outcome tries everything and says what a client is allowed.
func outcome(t *testing.T, d siotest.Dialer) (events, connects, handshakes int) {
	t.Helper()
	for range 3 {
		p, err := d.TryConnect(t, "/", nil)
		if err != nil {
			continue
		}
		connects++
		if p.Ask("post").Err() == nil {
			events++
		}
	}
	return events, connects, 3 + opened(t, d)
}

// opened makes a request for a fourth connection, and returns 1 if it is granted.
func opened(t *testing.T, d siotest.Dialer) int {
	t.Helper()
	res, err := d.HTTP(t).Get(d.Endpoint("EIO", "4", "transport", "polling"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK {
		return 1
	}
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("refused with status %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	return 0
}

func TestLimitsByAddressBehindATrustedProxy(t *testing.T) {
	t.Parallel()
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mount(t, newServer(t), trustProxy)
			for _, client := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"} {
				events, connects, handshakes := outcome(t, via(d, client))
				if events != 1 || connects != 2 || handshakes != 3 {
					t.Errorf("%s was allowed %d events, %d connects and %d handshakes, want 1, 2 and 3",
						client, events, connects, handshakes)
				}
			}
			if n := opened(t, via(d, "2001:db8::2")); n != 0 {
				t.Error("another address of the same network is allowed a handshake of its own")
			}
		})
	}
}

// Without a proxy, the header is what a client makes up.
func TestLimitsByAddressCannotBeEvadedByAHeader(t *testing.T) {
	t.Parallel()
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mount(t, newServer(t), trustNone)
			events, connects, handshakes := outcome(t, via(d, "192.0.2.1"))
			if events != 1 || connects != 2 || handshakes != 3 {
				t.Errorf("allowed %d events, %d connects and %d handshakes, want 1, 2 and 3", events, connects, handshakes)
			}
			for _, client := range []string{"192.0.2.2", "192.0.2.3, 192.0.2.4", "", "made up"} {
				if n := opened(t, via(d, client)); n != 0 {
					t.Errorf("X-Forwarded-For: %s is allowed a handshake of its own", client)
				}
			}
		})
	}
}

// Proxies that append to a header leave what the client made up in front. Gin and
// Echo go by the last address that is no proxy's. Fiber gives the whole header, of which
// limits take the last address.
func TestWhatAClientPutsInFrontOfTheProxysAddress(t *testing.T) {
	t.Parallel()
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mount(t, newServer(t), trustProxy)
			got := 0
			for _, made := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"} {
				got += opened(t, via(d, made+", 192.0.2.1"))
			}
			if want := 3; got != want {
				t.Errorf("%d handshakes, want %d", got, want)
			}
		})
	}
}

// Without options for proxies, the default of the framework applies.
func TestDefaultsOfTheFrameworks(t *testing.T) {
	t.Parallel()
	believes := map[string]bool{"gin": true, "echo": true, "echov5": false, "fiber": false, "fiberv3": false}
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := mount(t, newServer(t), nothing)
			got := 0
			for _, made := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"} {
				got += opened(t, via(d, made))
			}
			if got != 3 && got != 5 || (got == 5) != believes[name] {
				t.Errorf("%d handshakes; does it believe the header? want %v", got, believes[name])
			}
		})
	}
}
