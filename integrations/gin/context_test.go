package siogin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

func TestContextHasWhatTheRequestHad(t *testing.T) {
	type seen struct{ user, tenant, cookie, header, query, fullPath, path, ip string }
	look := func(s *sio.Socket) seen {
		c := siogin.Context(s)
		cookie, _ := c.Cookie("session")
		return seen{
			c.GetString("user"), c.Param("tenant"), cookie, c.GetHeader("X-Test"), c.Query("room"),
			c.FullPath(), c.Request.URL.Path, c.ClientIP(),
		}
	}
	want := seen{"ann", "acme", "abc", "yes", "7", copied(t), "/t/acme/socket.io/", "127.0.0.1"}
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		left := make(chan seen, 1)
		_, d := serve(t, nil, func(r *gin.Engine, srv *sio.Server) {
			check := func(where string, s *sio.Socket) {
				if got := look(s); got != want {
					t.Errorf("%s: got %+v", where, got)
				}
				if first := siogin.Context(s); first != siogin.Context(s) {
					t.Errorf("%s: two contexts", where)
				}
			}
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { check("connecting", c.Socket); return nil }))
			srv.On("event", func(c *sio.Ctx) error {
				check("event", c.Socket)
				runtime.GC() // nobody has it now, and it is made again
				check("later", c.Socket)
				return c.Ack(c.Handshake().Address)
			})
			srv.OnDisconnect(func(s *sio.Socket, _ sio.Reason) { left <- look(s) })
			siogin.Mount(r.Group("/t/:tenant", signIn), srv)
		})
		d = d.At("/t/acme/socket.io/")
		d.URL = d.Endpoint("room", "7")
		d.Header = http.Header{"X-User": {"ann"}, "X-Test": {"yes"}, "Cookie": {"session=abc"}}
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431["127.0.0.1"]`)
		c.Close()
		if got := <-left; got != want {
			t.Errorf("disconnecting: got %+v", got)
		}
	})
}

// copied returns what Gin's own Copy keeps of the path of a mount: nothing before 1.10.
func copied(t *testing.T) (fullPath string) {
	t.Helper()
	r := gin.New()
	const route = "/t/:tenant/socket.io/*sioplug"
	r.GET(route, func(c *gin.Context) { fullPath = c.Copy().FullPath() })
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/t/acme/socket.io/", nil))
	if fullPath != "" && fullPath != route {
		t.Errorf("Copy has %q", fullPath)
	}
	return fullPath
}

func TestContextHoldsNothingOfTheConnection(t *testing.T) {
	_, d := serve(t, nil, func(r *gin.Engine, srv *sio.Server) {
		srv.On("event", func(c *sio.Ctx) error {
			g := siogin.Context(c.Socket)
			body, err := io.ReadAll(g.Request.Body)
			if len(body) > 0 || err != nil {
				t.Errorf("body %q, %v", body, err)
			}
			if _, ok := g.Params.Get("sioplug"); ok {
				t.Errorf("params %v", g.Params)
			}
			if err := g.Request.Context().Err(); err != nil {
				t.Errorf("the request's context: %v", err)
			}
			return c.Ack()
		})
		siogin.Mount(r, srv)
	})
	for _, c := range []*siotest.Client{d.Polling(t), d.WebSocket(t)} {
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want("431[]")
	}
}

// Sockets of one client share the context, and their handlers run at the same
// time; Gin parses a query when it is asked for it.
func TestContextIsReadByManyAtOnce(t *testing.T) {
	const namespaces = 5
	var all sync.WaitGroup
	all.Add(namespaces)
	_, d := serve(t, nil, func(r *gin.Engine, srv *sio.Server) {
		for i := range namespaces {
			srv.Of(fmt.Sprint("/", i)).OnConnect(func(c *sio.Ctx) error {
				all.Done()
				all.Wait()
				g := siogin.Context(c.Socket)
				return c.Emit("got", g.Query("room"), g.GetHeader("X-Test"), g.ClientIP(), g.GetString("user"))
			})
		}
		siogin.Mount(r.Group("/", signIn), srv)
	})
	d.URL = d.Endpoint("room", "7")
	d.Header = http.Header{"X-User": {"ann"}, "X-Test": {"yes"}}
	c := d.WebSocket(t)
	packets := make([]string, namespaces)
	for i := range packets {
		packets[i] = fmt.Sprintf("40/%d,", i)
	}
	c.Send(packets...)
	for range namespaces {
		for {
			if got := c.Next(); strings.HasPrefix(got, "42") {
				if _, event, _ := strings.Cut(got, ","); event != `["got","7","yes","127.0.0.1","ann"]` {
					t.Errorf("got %s", got)
				}
				break
			}
		}
	}
}

func TestTLSStateIsThere(t *testing.T) {
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := newEngine()
		siogin.Mount(r, srv)
		return siotest.LoopbackTLS(t, r)
	})
	_, d := mount.Serve(t, nil, func(srv *sio.Server) {
		srv.On("tls", func(c *sio.Ctx) error {
			state := siogin.Context(c.Socket).Request.TLS
			return c.Ack(c.Handshake().Secure, state != nil && state.HandshakeComplete)
		})
	})
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["tls"]`)
		c.Want(`431[true,true]`)
	})
}

func TestContextOfASocketFromAnotherMountIsNil(t *testing.T) {
	srv := sio.New(nil)
	srv.On("event", func(c *sio.Ctx) error { return c.Ack(siogin.Context(c.Socket) == nil) })
	c := siotest.Loopback(t, srv).WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["event"]`)
	c.Want("431[true]")
}
