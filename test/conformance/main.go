// Command conformance is the server that the official protocol test suites
// talk to, behind Gin: an Engine.IO echo at /engine.io/ and the Socket.IO
// contract at /socket.io/, with the suites' short heartbeat.
//
// The suites are in the socket.io repository, docs/engine.io-protocol and
// docs/socket.io-protocol; run them with npm test while this runs.
package main

import (
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// The heartbeat that the suites expect.
const (
	pingInterval = 300 * time.Millisecond
	pingTimeout  = 200 * time.Millisecond
)

func main() {
	addr := flag.String("addr", "localhost:3000", "where to listen")
	eio3 := flag.Bool("eio3", false, "let clients of revision 3 in, for its suite; that of revision 4 wants them refused")
	flag.Parse()
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	mountEngine(r, *eio3)
	mountSocketIO(r)
	err := http.ListenAndServe(*addr, r) //nolint:gosec // no timeouts: polls are long
	slog.Error("conformance server ended", slog.Any("err", err))
	os.Exit(1)
}

// echo sends every message back.
type echo struct{ session *engine.Session }

func (e echo) Message(binary bool, p []byte) {
	_ = e.session.SendMessage(binary, p) // a session that has ended needs no echo
}

func (echo) Close(engine.Reason, error) {}

func mountEngine(r gin.IRoutes, eio3 bool) {
	e := engine.NewServer(engine.Options{PingInterval: pingInterval, PingTimeout: pingTimeout, AllowEIO3: eio3},
		func(s *engine.Session) engine.Handler { return echo{s} })
	r.Any("/engine.io/", func(c *gin.Context) {
		e.Serve(c.Request.Context(), nethttp.New(c.Writer, c.Request))
	})
}

func mountSocketIO(r gin.IRoutes) {
	srv := sio.New(&sio.Options{PingInterval: pingInterval, PingTimeout: pingTimeout, ConnectTimeout: time.Second})
	for _, ns := range []*sio.Namespace{srv.Of("/"), srv.Of("/custom")} {
		ns.OnConnect(func(c *sio.Ctx) error {
			var auth json.RawMessage
			if err := c.Bind(&auth); err != nil {
				return err
			}
			return c.Emit("auth", auth)
		})
		ns.On("message", func(c *sio.Ctx) error {
			args, err := all(c)
			if err != nil {
				return err
			}
			return c.Emit("message-back", args...)
		})
		ns.On("message-with-ack", func(c *sio.Ctx) error {
			args, err := all(c)
			if err != nil {
				return err
			}
			return c.Ack(args...)
		})
	}
	siogin.Mount(r, srv)
}

// all decodes all arguments, whatever they are.
func all(c *sio.Ctx) ([]any, error) {
	args := make([]any, c.Len())
	dst := make([]any, len(args))
	for i := range args {
		dst[i] = &args[i]
	}
	return args, c.Bind(dst...)
}
