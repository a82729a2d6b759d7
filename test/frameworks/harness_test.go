// Package frameworks_test shows what middleware does to a mount, and the mount to
// middleware: the frameworks' own, and what others contributed that is widely
// used. docs/frameworks.md says what is tested here.
//
// It is a module of its own, so that what it needs is not asked for by programs
// that use sioplug.
package frameworks_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	fiber2 "github.com/gofiber/fiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	code := m.Run()
	if left := leftovers(); code == 0 && len(left) > 0 {
		fmt.Fprintf(os.Stderr, "goroutines are left:\n\n%s\n", strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// leftovers returns the goroutines of ours that do not end. Many frameworks'
// never do.
func leftovers() (left []string) {
	over := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		buf := make([]byte, 1<<20)
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		left = slices.DeleteFunc(stacks[1:], func(s string) bool { // the first one is this
			return !strings.Contains(s, "github.com/sioplug/sioplug/")
		})
		if len(left) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-over:
			return left
		}
	}
}

// mounts are ways of mounting a server, by the name of the framework.
type mounts map[string]siotest.Mount

// each runs a test for every mount.
func (m mounts) each(t *testing.T, run func(t *testing.T, mount siotest.Mount)) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		t.Run(name, func(t *testing.T) { run(t, m[name]) })
	}
}

// These return mounts behind middleware.

func onGin(mw ...gin.HandlerFunc) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := gin.New()
		r.Use(mw...)
		siogin.Mount(r, srv)
		return siotest.Loopback(t, r)
	}
}

func onEcho(mw ...echo4.MiddlewareFunc) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := echo4.New()
		e.Use(mw...)
		sioecho.Mount(e, srv)
		return siotest.Loopback(t, e)
	}
}

func onEchoV5(mw ...echo5.MiddlewareFunc) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := echo5.New()
		e.Use(mw...)
		sioechov5.Mount(e, srv)
		return siotest.Loopback(t, e)
	}
}

func onFiber(mw ...fiber2.Handler) siotest.Mount {
	return onFiberWith(fiber2.Config{}, mw...)
}

func onFiberWith(config fiber2.Config, mw ...fiber2.Handler) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		config := config
		config.DisableStartupMessage = true
		app := fiber2.New(config)
		for _, h := range mw {
			app.Use(h)
		}
		siofiber.Mount(app, srv)
		return listen(t, func(l net.Listener) error { return app.Listener(l) }, app.ShutdownWithContext)
	}
}

func onFiberV3(mw ...fiber3.Handler) siotest.Mount {
	return onFiberV3With(fiber3.Config{}, mw...)
}

func onFiberV3With(config fiber3.Config, mw ...fiber3.Handler) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := fiber3.New(config)
		for _, h := range mw {
			app.Use(h)
		}
		siofiberv3.Mount(app, srv)
		quiet := fiber3.ListenConfig{DisableStartupMessage: true}
		return listen(t, func(l net.Listener) error { return app.Listener(l, quiet) }, app.ShutdownWithContext)
	}
}

func onChi(mw ...func(http.Handler) http.Handler) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := chi.NewRouter()
		r.Use(mw...)
		r.Handle("/socket.io", srv) // for middleware that takes trailing slashes away
		r.Handle("/socket.io/*", srv)
		return siotest.Loopback(t, r)
	}
}

// listen serves on a port of this machine until the test ends.
func listen(t *testing.T, serve func(net.Listener) error, stop func(context.Context) error) siotest.Dialer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(stop(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	return siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
}

// echo registers the one event that clients here send.
func echo(srv *sio.Server) {
	srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
}

// mustEcho connects a client and has it be heard.
func mustEcho(t *testing.T, c *siotest.Client) {
	t.Helper()
	c.Connect("/", "")
	c.Send(`42["echo","heard"]`)
	c.Want(`42["echo","heard"]`)
}

// An answer is what came back from a request by hand.
type answer struct {
	status int
	header http.Header
	body   string
}

// fetch sends a request by hand, with the headers of d and those in pairs.
func fetch(t *testing.T, d siotest.Dialer, method, url, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	res, err := d.HTTP(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return answer{res.StatusCode, res.Header, ""}
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// open sends the request that opens a connection.
func open(t *testing.T, d siotest.Dialer, transport string, headers ...string) answer {
	t.Helper()
	if transport == "websocket" {
		headers = append([]string{
			"Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-Websocket-Version", "13", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
		}, headers...)
	}
	return fetch(t, d, http.MethodGet, d.Endpoint("EIO", "4", "transport", transport), "", headers...)
}

// poll sends a poll of a session.
func poll(t *testing.T, d siotest.Dialer, sid string, headers ...string) answer {
	t.Helper()
	return fetch(t, d, http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling", "sid", sid), "", headers...)
}

// post sends packets to a session.
func post(t *testing.T, d siotest.Dialer, sid, packets string, headers ...string) answer {
	t.Helper()
	return fetch(t, d, http.MethodPost, d.Endpoint("EIO", "4", "transport", "polling", "sid", sid), packets, headers...)
}

// statuses are those that opening a connection is answered with when it works.
var statuses = map[string]int{
	"polling":   http.StatusOK,
	"websocket": http.StatusSwitchingProtocols,
}
