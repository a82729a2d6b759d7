// Command gin is a Gin application with a chat in it: it has its own routes,
// its own sign-in and its own middleware, and Socket.IO is one line among them.
package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/program"
	"github.com/sioplug/sioplug/examples/signin"
)

func main() {
	p := program.Parse()
	srv := sio.New(p.Options())
	p.Sessions.Guard(srv.Namespace) // nobody is in there without a token
	room := chat.Register(srv, signin.UserOf)
	p.Join(room)
	gin.SetMode(gin.ReleaseMode)
	web := &http.Server{
		Handler:           newRouter(srv, room, p.Sessions, p.Client != nil, p.Admin(srv)),
		ReadHeaderTimeout: 10 * time.Second,
	}

	// The sockets end first: the web server would wait for their long polls.
	p.Run(web.Serve, func(ctx context.Context) error {
		return errors.Join(room.Goodbye(), srv.Shutdown(ctx), web.Shutdown(ctx))
	})
}
