package siogin_test

import (
	"io"
	"net/http"
	"strings"
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
	want := seen{"ann", "acme", "abc", "yes", "7", "/t/:tenant/socket.io/*sioplug", "/t/acme/socket.io/", "127.0.0.1"}
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
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
				srv.On("event", func(c *sio.Ctx) error { check("event", c.Socket); return c.Ack(c.Handshake().Address) })
				srv.OnDisconnect(func(s *sio.Socket, _ sio.Reason) { left <- look(s) })
				siogin.Mount(r.Group("/t/:tenant", signIn), srv)
			})
			d.URL = strings.Replace(d.URL, "/socket.io/", "/t/acme/socket.io/?room=7", 1)
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

func TestContextOfASocketFromAnotherMountIsNil(t *testing.T) {
	srv := sio.New(nil)
	srv.On("event", func(c *sio.Ctx) error { return c.Ack(siogin.Context(c.Socket) == nil) })
	c := siotest.Loopback(t, srv).WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["event"]`)
	c.Want("431[true]")
}
