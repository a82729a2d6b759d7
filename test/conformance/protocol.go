package main

import (
	"encoding/json"
	"time"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// The heartbeat that the protocol suites expect.
const (
	pingInterval = 300 * time.Millisecond
	pingTimeout  = 200 * time.Millisecond
)

// echo sends every message back.
type echo struct{ session *engine.Session }

func (e echo) Message(binary bool, p []byte) {
	_ = e.session.SendMessage(binary, p) // a session that has ended needs no echo
}

func (echo) Close(engine.Reason, error) {}

// mountEngine serves the suites of Engine.IO: an echo.
func mountEngine(r gin.IRoutes, eio3 bool) {
	serveEngine(r, engine.NewServer(engine.Options{PingInterval: pingInterval, PingTimeout: pingTimeout, AllowEIO3: eio3},
		func(s *engine.Session) engine.Handler { return echo{s} }))
}

func serveEngine(r gin.IRoutes, e *engine.Server) {
	r.Any("/engine.io/", func(c *gin.Context) {
		e.Serve(c.Request.Context(), nethttp.New(c.Writer, c.Request))
	})
}

// mountSocketIO serves the suite of Socket.IO.
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
			args, err := c.Args().Values()
			if err != nil {
				return err
			}
			return c.Emit("message-back", args...)
		})
		ns.On("message-with-ack", func(c *sio.Ctx) error {
			args, err := c.Args().Values()
			if err != nil {
				return err
			}
			return c.Ack(args...)
		})
	}
	siogin.Mount(r, srv)
}
