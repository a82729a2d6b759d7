// Package program is what the examples have in common around their framework:
// the command line, the address they listen on, and an end in good order.
package program

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/signin"
)

// stopTimeout bounds a stop in good order.
const stopTimeout = 5 * time.Second

// A Program is one run of an example.
type Program struct {
	// Client has the Socket.IO client. It is nil if the page has to take that
	// from the CDN.
	Client fs.FS

	Sessions *signin.Sessions

	addr    string
	admin   string          // the folder with the Admin UI; "" for none
	adapter adapter.Cluster // nil if the server is alone
	node    string          // the name of the server in its cluster
	room    atomic.Pointer[chat.Chat]
}

// Parse reads the command line, and ends the program if it cannot do as that says.
func Parse() *Program {
	addr := flag.String("addr", "localhost:3000", "`address` to listen on; port 0 takes a free one")
	client := flag.String("client", "", "`folder` with the Socket.IO client, such as node_modules/socket.io-client/dist; without it the page uses the CDN")
	key := flag.String("key", "", "`file` with the key that signs sessions, made if absent; without it a restart signs everyone out")
	token := flag.Duration("token", 5*time.Minute, "`time` that the token of a socket is good for; the page gets a new one before")
	admin := flag.String("admin", "", "`folder` with the Admin UI, which command sioadmin-ui makes; it is served at /admin/, with a password that is printed")
	redisAddr := flag.String("redis", "", "`address` of a Redis, such as localhost:6379, by which servers with the same -key are one chat")
	node := flag.String("node", "", "`name` of this server in that cluster, a letter and digits: session ids begin with it, for the proxy")
	flag.Parse()

	sessions, err := signin.Open(*key, *token)
	exitIf(err)
	p := &Program{Client: chat.ClientFS(*client), Sessions: sessions, addr: *addr, admin: *admin, node: *node}
	if *redisAddr != "" {
		p.adapter = redisadapter.Classic(redis.NewClient(&redis.Options{Addr: *redisAddr}))
	}
	return p
}

// Options are those of the example's server.
func (p *Program) Options() *sio.Options {
	o := &sio.Options{ClientFS: p.Client, Adapter: p.adapter, OnClusterError: p.clusterFailed}
	if p.node != "" {
		o.GenerateID = func(*sio.Request) (string, error) { return p.node + "-" + rand.Text(), nil }
	}
	return o
}

// Admin has the Admin UI show the server. It returns the UI's page, nil if there is none.
func (p *Program) Admin(srv *sio.Server) http.Handler {
	if p.admin == "" {
		return nil
	}
	password := rand.Text() // another one for each start
	hash, err := sioadmin.HashPassword(password)
	exitIf(err)
	admin, err := sioadmin.Instrument(srv, sioadmin.Options{Username: "admin", PasswordHash: hash, Mode: sioadmin.Development})
	exitIf(err)
	fmt.Printf("The Admin UI is at /admin/ for those who are in the chat: sign in as admin with %s\n", password)
	return admin.UI("/admin", os.DirFS(p.admin), nil)
}

// Join makes the chat part of the cluster.
func (p *Program) Join(room *chat.Chat) {
	room.Name(p.node)
	p.room.Store(room)
}

func (p *Program) clusterFailed(err error) {
	if err != nil {
		slog.Error("the cluster reports an error", "err", err)
		return
	}
	slog.Info("the cluster is healthy again")
	if room := p.room.Load(); room != nil {
		room.Missed()
	}
}

// Run serves until the program is told to stop, by Ctrl+C for example, and then
// calls stop, whose context bounds the time for that.
func (p *Program) Run(serve func(net.Listener) error, stop func(context.Context) error) {
	exitIf(p.run(serve, stop))
}

func (p *Program) run(serve func(net.Listener) error, stop func(context.Context) error) error {
	told, unwatch := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer unwatch()
	listener, err := new(net.ListenConfig).Listen(told, "tcp", p.addr)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serve(listener) }()
	fmt.Println("The chat is at", address(p.addr, listener.Addr()))

	select {
	case err := <-served:
		return err
	case <-told.Done():
	}
	unwatch() // from here on a second Ctrl+C ends the program at once
	fmt.Println("Stopping. The pages that are open will reconnect.")
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return stop(ctx)
}

// address returns where a browser finds the server: at the name it was told to
// listen on, and the port it got.
func address(asked string, got net.Addr) string {
	host, _, _ := net.SplitHostPort(asked) // it was good enough to listen on
	_, port, _ := net.SplitHostPort(got.String())
	return "http://" + net.JoinHostPort(cmp.Or(host, "localhost"), port)
}

func exitIf(err error) {
	if err != nil {
		slog.Error("stopped", "err", err)
		os.Exit(1)
	}
}

// Quiet reports whether the log is better off without the requests for a path: a
// page asks for such by the dozen.
func Quiet(path string) bool {
	return strings.HasPrefix(path, "/socket.io/") || strings.HasPrefix(path, "/assets/") || path == "/healthz"
}
