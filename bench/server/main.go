// Command server is sioplug as the benchmark wants to see it: a Socket.IO server
// with default options and the handlers of the benchmark, under any of the mounts.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/labstack/echo/v4"

	"github.com/sioplug/sioplug/bench/internal/app"
	"github.com/sioplug/sioplug/bench/internal/handlers"
	sio "github.com/sioplug/sioplug/core"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

func main() {
	port := flag.Int("port", 3000, "port on 127.0.0.1")
	mount := flag.String("mount", "nethttp", strings.Join(slices.Sorted(maps.Keys(mounts)), ", "))
	codec := flag.String("json", "", "codec for JSON: sonic, on amd64 and arm64; the default one if empty")
	adapter := flag.String("adapter", "", "what makes a cluster of servers: "+strings.Join(slices.Sorted(maps.Keys(adapters)), ", ")+"; none if empty")
	redisAddr := flag.String("redis", "127.0.0.1:6379", "address of Redis, which an adapter needs")
	park := flag.Bool("park", false, "park idle clients: Options.ParkIdle")
	locks := flag.Bool("locks", false, "profile how long goroutines wait for locks: /debug/pprof/mutex")
	flag.Parse()
	if *locks {
		runtime.SetMutexProfileFraction(1)
	}
	if err := run(*mount, *codec, *adapter, *redisAddr, *port, *park); err != nil {
		slog.Error("bench server failed", slog.Any("err", err))
		os.Exit(1)
	}
}

// mounts have, by name, what serves srv, and [app.Control], on a listener.
var mounts = map[string]func(srv *sio.Server, l net.Listener) error{ //nolint:gochecknoglobals // immutable
	"nethttp": func(srv *sio.Server, l net.Listener) error { return serve(srv, l) },
	"gin": func(srv *sio.Server, l net.Listener) error {
		gin.SetMode(gin.ReleaseMode)
		r := gin.New()
		siogin.Mount(r, srv)
		return serve(r, l)
	},
	"echo": func(srv *sio.Server, l net.Listener) error {
		e := echo.New()
		sioecho.Mount(e, srv)
		return serve(e, l)
	},
	"fiber": func(srv *sio.Server, l net.Listener) error {
		f := fiber.New(fiber.Config{DisableStartupMessage: true})
		siofiber.Mount(f, srv)
		mux := http.NewServeMux()
		app.Control(mux)
		f.Get("/bench/*", adaptor.HTTPHandler(mux))
		f.Get("/debug/pprof/*", adaptor.HTTPHandler(mux))
		return f.Listener(l)
	},
}

// codecs have, by name, what encodes and decodes JSON.
var codecs = map[string]sio.Codec{"": nil} //nolint:gochecknoglobals // immutable when main runs

func run(mount, codec, adapter, redisAddr string, port int, park bool) error {
	serve, ok := mounts[mount]
	if !ok {
		return errors.New("unknown -mount " + strconv.Quote(mount))
	}
	c, ok := codecs[codec]
	if !ok {
		return errors.New("unknown -json " + strconv.Quote(codec))
	}
	srv, err := newServer(&sio.Options{JSON: c, ParkIdle: park}, adapter, redisAddr)
	if err != nil {
		return err
	}
	handlers.Register(srv)
	l, err := app.Listen(port)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	return serve(srv, l)
}

// serve serves an application of net/http.
func serve(h http.Handler, l net.Listener) error {
	mux := http.NewServeMux()
	app.Control(mux)
	mux.Handle("/", h)
	return (&http.Server{Handler: mux}).Serve(l) //nolint:gosec // no timeouts: long polls are part of the measurement
}
