// Command gin is a Gin application with a chat in it: it has its own routes,
// its own sign-in and its own middleware, and Socket.IO is one line among them.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
)

func main() {
	addr := flag.String("addr", "localhost:3000", "`address` to listen on; port 0 takes a free one")
	client := flag.String("client", "", "`folder` with the Socket.IO client, such as node_modules/socket.io-client/dist; without it the page uses the CDN")
	keyFile := flag.String("key", "", "`file` with the key that signs sessions, made if absent; without it a restart signs everyone out")
	flag.Parse()

	if err := run(*addr, *client, *keyFile); err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}

// run serves until it is told to stop, and then stops in good order.
func run(addr, client, keyFile string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	key, err := sessionKey(keyFile)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}

	clientFS := chat.ClientFS(client)
	srv := sio.New(&sio.Options{ClientFS: clientFS})
	room := chat.Register(srv, userOf)
	gin.SetMode(gin.ReleaseMode)
	hs := &http.Server{
		Handler:           newRouter(srv, room, sessions{key: key}, clientFS != nil),
		ReadHeaderTimeout: 10 * time.Second,
	}

	served := make(chan error, 1)
	go func() { served <- hs.Serve(listener) }()
	fmt.Println("The chat is at", address(addr, listener.Addr()))

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop() // from here on a second Ctrl+C ends the program at once
	fmt.Println("Stopping. The pages that are open will reconnect.")
	return shutdown(srv, room, hs)
}

// address returns where a browser finds the server: at the name it was told to
// listen on, and the port it got.
func address(asked string, got net.Addr) string {
	host, _, _ := net.SplitHostPort(asked) // it was good enough to listen on
	_, port, _ := net.SplitHostPort(got.String())
	return "http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port)
}

// shutdown ends the sockets before the HTTP server, which would wait for their
// long polls.
func shutdown(srv *sio.Server, room *chat.Chat, hs *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(room.Goodbye(), srv.Shutdown(ctx), hs.Shutdown(ctx))
}
