package siogin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	goleak.VerifyTestMain(m)
}

// signIn keeps the header X-User as Gin's key "user", and refuses mallory.
func signIn(c *gin.Context) {
	user := c.GetHeader("X-User")
	if user == "mallory" {
		c.AbortWithStatus(http.StatusUnauthorized)
		return
	}
	c.Set("user", user)
}

func lookup(s *sio.Socket) (tenant, user string) {
	c := siogin.Context(s)
	return c.Param("tenant"), c.GetString("user")
}

// newEngine returns an engine that trusts these proxies; Gin's default is all.
func newEngine(proxies ...string) *gin.Engine {
	r := gin.New()
	if err := r.SetTrustedProxies(proxies); err != nil {
		panic(err)
	}
	return r
}

func TestMount(t *testing.T) {
	onApp := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := newEngine()
		siogin.Mount(r, srv)
		return siotest.Loopback(t, r)
	}
	onGroup := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := newEngine()
		siogin.Mount(r.Group("/t/:tenant", signIn), srv)
		return siotest.Loopback(t, r).At("/t/acme/socket.io/")
	}
	ownPath := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := newEngine()
		r.Any("/t/:tenant/live/", signIn, siogin.Handler(srv))
		return siotest.Loopback(t, r).At("/t/acme/live/")
	}
	proxied := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := newEngine("127.0.0.1")
		siogin.Mount(r, srv)
		return siotest.Loopback(t, r)
	}
	overTLS := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := newEngine()
		siogin.Mount(r, srv)
		return siotest.LoopbackTLS(t, r)
	}
	t.Run("app", func(t *testing.T) { siotest.Run(t, onApp) })
	t.Run("group", func(t *testing.T) { siotest.Run(t, onGroup, siotest.Values(lookup)) })
	t.Run("own path", func(t *testing.T) { siotest.Run(t, ownPath, siotest.Values(lookup)) })
	t.Run("behind a proxy", func(t *testing.T) { siotest.Run(t, proxied, siotest.Proxied()) })
	t.Run("TLS", func(t *testing.T) { siotest.Run(t, overTLS) })
}

// serve returns a server behind Gin; build mounts it.
func serve(t *testing.T, opts *sio.Options, build func(r *gin.Engine, srv *sio.Server)) (*sio.Server, siotest.Dialer) {
	t.Helper()
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := newEngine()
		build(r, srv)
		return siotest.Loopback(t, r)
	})
	return mount.Serve(t, opts, func(*sio.Server) {})
}

func TestPathsAndFiles(t *testing.T) {
	files := fstest.MapFS{"socket.io.min.js": {Data: []byte("code")}}
	_, d := serve(t, &sio.Options{ClientFS: files}, func(r *gin.Engine, srv *sio.Server) {
		r.GET("/other", func(c *gin.Context) { c.String(http.StatusOK, "other") })
		siogin.Mount(r.Group("/app"), srv)
	})
	root := strings.TrimSuffix(d.URL, "/socket.io/")
	for url, want := range map[string]string{
		"/other":                                   "200 other",
		"/app/socket.io/socket.io.min.js?v=1":      "200 code",
		"/app/socket.io/socket.io.js":              `400 {"code":0,"message":"Transport unknown"}`,
		"/app/socket.io/":                          `400 {"code":0,"message":"Transport unknown"}`,
		"/app/socket.io":                           `400 {"code":0,"message":"Transport unknown"}`,
		"/socket.io/?EIO=4&transport=polling":      "404 404 page not found",
		"/app/socket.iox/?EIO=4&transport=polling": "404 404 page not found",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, root+url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := d.HTTP(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if got := fmt.Sprintf("%d %s", res.StatusCode, body); got != want || errors.Join(err, res.Body.Close()) != nil {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	// Clients with addTrailingSlash: false.
	d.URL = root + "/app/socket.io"
	c := d.Polling(t)
	c.Upgrade()
	c.Connect("/", "")
}

func TestShutdownTogetherWithTheHTTPServer(t *testing.T) {
	srv := sio.New(nil)
	left := make(chan sio.Reason, 3)
	srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { left <- r })
	r := gin.New()
	siogin.Mount(r, srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(l) }()

	d := siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
	polls, socket, upgraded := d.Polling(t), d.WebSocket(t), d.Polling(t)
	upgraded.Upgrade()
	clients := []*siotest.Client{polls, socket, upgraded}
	var reading sync.WaitGroup
	for _, c := range clients {
		c.Connect("/", "")
		reading.Go(func() { // among others, with a poll that is open
			for {
				if _, err := c.TryNext(); err != nil {
					return
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := errors.Join(srv.Shutdown(ctx), hs.Shutdown(ctx)); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	reading.Wait()
	for range clients {
		if got := <-left; got != sio.ReasonServerShuttingDown {
			t.Errorf("reason %q", got)
		}
	}
}
