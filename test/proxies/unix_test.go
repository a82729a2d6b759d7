package proxies_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	fiberv3 "github.com/gofiber/fiber/v3"
	"github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	sio "github.com/sioplug/sioplug/core"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// A server runs on a listener until it is stopped.
type server struct {
	run  func(net.Listener) error
	stop func(context.Context) error
}

func overHTTP(h http.Handler) server {
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	return server{
		func(l net.Listener) error {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		s.Shutdown,
	}
}

// unixServers are told which header has the address, if it is not "".
var unixServers = map[string]func(srv *sio.Server, header string) server{
	"nethttp": func(srv *sio.Server, header string) server {
		return overHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if header != "" {
				r.RemoteAddr = r.Header.Get(header)
			}
			srv.ServeHTTP(w, r)
		}))
	},
	"gin": func(srv *sio.Server, header string) server {
		r := gin.New()
		r.TrustedPlatform = header
		siogin.Mount(r, srv)
		return overHTTP(r)
	},
	"echo": func(srv *sio.Server, header string) server {
		e := echo.New()
		e.IPExtractor = echo.ExtractIPFromXFFHeader()
		if header != "" {
			e.IPExtractor = func(r *http.Request) string { return r.Header.Get(header) }
		}
		sioecho.Mount(e, srv)
		return overHTTP(e)
	},
	"echov5": func(srv *sio.Server, header string) server {
		e := echov5.New()
		e.IPExtractor = echov5.ExtractIPFromXFFHeader()
		if header != "" {
			e.IPExtractor = func(r *http.Request) string { return r.Header.Get(header) }
		}
		sioechov5.Mount(e, srv)
		return overHTTP(e)
	},
	"fiber": func(srv *sio.Server, header string) server {
		app := fiber.New(fiber.Config{DisableStartupMessage: true, ProxyHeader: header})
		siofiber.Mount(app, srv)
		return server{app.Listener, app.ShutdownWithContext}
	},
	"fiberv3": func(srv *sio.Server, header string) server {
		app := fiberv3.New(fiberv3.Config{
			ProxyHeader: header, TrustProxy: header != "", TrustProxyConfig: fiberv3.TrustProxyConfig{UnixSocket: true},
		})
		siofiberv3.Mount(app, srv)
		return server{func(l net.Listener) error {
			return app.Listener(l, fiberv3.ListenConfig{DisableStartupMessage: true})
		}, app.ShutdownWithContext}
	},
}

// Behind a proxy on a Unix socket there is no address, and Echo's clients were not
// limited at all. All of them count as one address now, unless the framework is told
// which header has it.
func TestLimitsByAddressFellAwayOnAUnixSocket(t *testing.T) {
	t.Parallel()
	for name, newServer := range unixServers {
		for header, want := range map[string]int{"": 3, "X-Client": 5} {
			t.Run(name+header, func(t *testing.T) {
				t.Parallel()
				srv := sio.New(&sio.Options{UseRequest: []func(http.Header, *sio.Request) error{ratelimit.Handshakes(3, time.Hour)}})
				s := newServer(srv, header)
				path := filepath.Join(t.TempDir(), "s")
				l, err := net.Listen("unix", path)
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan error, 1)
				go func() { served <- s.run(l) }()
				got := 0
				for _, client := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"} {
					if openedByUnix(t, path, client) {
						got++
					}
				}
				if got != want {
					t.Errorf("%d handshakes, want %d", got, want)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				for _, stop := range []func(context.Context) error{srv.Shutdown, s.stop} {
					if err := stop(ctx); err != nil {
						t.Error(err)
					}
				}
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// openedByUnix reports whether a client may open a connection through a proxy.
func openedByUnix(t *testing.T, path, client string) bool {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/socket.io/?EIO=4&transport=polling", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Client", client)
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}
