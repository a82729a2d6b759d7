// Command fiber is a Fiber application with a chat in it: it has its own routes,
// its own sign-in and its own middleware, and Socket.IO is one line among them.
package main

import (
	"context"
	"errors"
	"net"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/program"
	"github.com/sioplug/sioplug/examples/signin"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
)

func main() {
	p := program.Parse()
	srv := sio.New(p.Options())
	p.Sessions.Guard(srv.Namespace) // nobody is in there without a token
	room := chat.Register(srv, signin.UserOf)
	p.Join(room)
	web := newApp(srv, room, p.Sessions, p.Client != nil, p.Admin(srv))

	// The sockets end first: the web server would wait for their long polls.
	listen := func(ln net.Listener) error { return web.Listener(siofiber.Listener(ln)) }
	p.Run(listen, func(ctx context.Context) error {
		return errors.Join(room.Goodbye(), srv.Shutdown(ctx), web.ShutdownWithContext(ctx))
	})
}
