package browser_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sioadmin "github.com/sioplug/sioplug/admin"
	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/internal/require"
)

// adminPath is where the applications have the Admin UI.
const adminPath = "/ops/admin"

// TestAdminUI drives the published Admin UI, which shows a cluster of a Gin and a Fiber
// application. Each of them serves it once.
func TestAdminUI(t *testing.T) {
	t.Parallel()
	node := require.Tool(t, "node")
	chromium := require.Tool(t, "chromium")
	require.NodePackages(t, ".")
	files := adminFiles(t)
	for _, framework := range []string{"gin", "fiber"} {
		t.Run(framework, func(t *testing.T) {
			t.Parallel()
			redisAddr, password, key := redistest.Start(t).Addr, rand.Text(), []byte(rand.Text()+rand.Text())
			refusals := make(chan string, 8)
			urls := make(map[string]string)
			for name, serve := range map[string]func(*testing.T, *sio.Server, http.Handler) string{"gin": serveGin, "fiber": serveFiber} {
				urls[name] = newAdminServer(t, name, redisAddr, password, key, files, refusals, serve)
			}
			ann := newMember(t, urls["gin"], "ann", "websocket")
			ben := newMember(t, urls["fiber"], "ben", "polling")
			ctx, cancel := context.WithTimeout(t.Context(), enough)
			defer cancel()
			s := script{
				node: node, chromium: chromium, name: "admin.mjs", url: urls[framework], subject: framework,
				env: []string{"ANN=" + ann.ID(), "BEN=" + ben.ID(), "PASSWORD=" + password},
			}
			s.run(ctx, t, func(line string) bool {
				switch line {
				case "speak":
					ann.say(t)
					ben.say(t)
				case "refused":
					for range 2 { // when the page was loaded, and the wrong password
						if got := <-refusals; got != "admin invalid_credentials" {
							t.Errorf("the sign-in was refused because of %s", got)
						}
					}
				case "disconnected ann":
					<-ann.gone
				case "disconnected ben":
					<-ben.gone
				default:
					return false
				}
				return true
			})
		})
	}
}

// TestAdminUIInProduction drives the published Admin UI of a single server that tells
// numbers only, and lets nobody change anything.
func TestAdminUIInProduction(t *testing.T) {
	t.Parallel()
	node := require.Tool(t, "node")
	chromium := require.Tool(t, "chromium")
	require.NodePackages(t, ".")
	srv, password := sio.New(nil), rand.Text()
	hash, err := sioadmin.HashPassword(password)
	must(t, err)
	admin, err := sioadmin.Instrument(srv, sioadmin.Options{Username: "admin", PasswordHash: hash, ReadOnly: true})
	must(t, err)
	url := serveGin(t, srv, admin.UI(adminPath, os.DirFS(adminFiles(t)), nil))
	t.Cleanup(func() { must(t, srv.Shutdown(context.WithoutCancel(t.Context()))) })
	ann := newMember(t, url, "ann", "websocket")
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	s := script{
		node: node, chromium: chromium, name: "admin-production.mjs", url: url, subject: "gin", env: []string{"PASSWORD=" + password},
	}
	s.run(ctx, t, func(line string) bool {
		if line == "leave" {
			must(t, ann.Manager().Shutdown(ctx))
		}
		return line == "leave"
	})
}

// adminFiles returns a folder with the files of the Admin UI, by our own command.
func adminFiles(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	command := exec.CommandContext(t.Context(), "go", "run", "-C", "../..", "./admin/cmd/sioadmin-ui", "-from", "test/browser/node_modules", folder)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("sioadmin-ui: %v\n%s", err, out)
	}
	return folder
}

// newAdminServer starts an application, and returns its URL.
func newAdminServer(t *testing.T, name, redisAddr, password string, key []byte, files string, refusals chan<- string,
	serve func(*testing.T, *sio.Server, http.Handler) string,
) string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: redisAddr})
	t.Cleanup(func() { must(t, client.Close()) })
	srv := sio.New(&sio.Options{Adapter: redisadapter.Classic(client), Observers: []*sio.Observer{{
		GuardRefused: func(i sio.GuardRefusedInfo) { refusals <- i.Guard + " " + i.Code },
	}}})
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("lobby") })
	srv.OnUnknown(func(c *sio.Ctx) error {
		return c.Emit(strings.Replace(c.Event(), "hello-from", "answer-to", 1), map[string]int{"answer": 42})
	})
	hash, err := sioadmin.HashPassword(password)
	must(t, err)
	admin, err := sioadmin.Instrument(srv, sioadmin.Options{
		Username: "admin", PasswordHash: hash, Mode: sioadmin.Development, ServerID: name, SessionKey: key,
	})
	must(t, err)
	url := serve(t, srv, admin.UI(adminPath, os.DirFS(files), nil))
	t.Cleanup(func() { must(t, srv.Shutdown(context.WithoutCancel(t.Context()))) })
	return url
}

func serveGin(t *testing.T, srv *sio.Server, ui http.Handler) string {
	t.Helper()
	gin.SetMode(gin.TestMode)
	r := gin.New()
	siogin.Mount(r, srv)
	r.GET(adminPath+"/*file", gin.WrapH(ui))
	web := httptest.NewServer(r)
	t.Cleanup(web.Close)
	return web.URL
}

func serveFiber(t *testing.T, srv *sio.Server, ui http.Handler) string {
	t.Helper()
	r := fiber.New(fiber.Config{DisableStartupMessage: true})
	siofiber.Mount(r, srv)
	r.Use(adminPath, adaptor.HTTPHandler(ui))
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- r.Listener(listener) }()
	t.Cleanup(func() {
		must(t, r.ShutdownWithTimeout(10*time.Second))
		must(t, <-served)
	})
	return "http://" + listener.Addr().String()
}

// A member is a client of the applications.
type member struct {
	*sioclient.Socket

	name string
	gone chan struct{} // closed when the server has disconnected it
}

func newMember(t *testing.T, url, name, transport string) *member {
	t.Helper()
	s, err := sioclient.New(url, &sioclient.Options{Transports: []string{transport}})
	must(t, err)
	m := &member{Socket: s, name: name, gone: make(chan struct{})}
	once := sync.OnceFunc(func() { close(m.gone) })
	s.OnDisconnect(func(*sioclient.Socket, sioclient.Reason) { once() })
	must(t, s.Connect(t.Context()))
	t.Cleanup(func() { must(t, s.Manager().Shutdown(context.WithoutCancel(t.Context()))) })
	return m
}

func (m *member) say(t *testing.T) {
	t.Helper()
	must(t, m.Emit("hello-from-"+m.name, "from the other end"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
