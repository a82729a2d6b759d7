package siogin_test

import (
	"fmt"
	"io"
	"net/http"
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

// Others mix up users here, whose requests come one after the other on the same
// connection.
func TestUsersAreNotMixedUpOnKeepAliveConnections(t *testing.T) {
	const users, rounds = 10, 20
	_, d := serve(t, nil, func(r *gin.Engine, srv *sio.Server) {
		srv.On("who", func(c *sio.Ctx) error {
			g := siogin.Context(c.Socket)
			return c.Ack(g.GetString("user"), g.GetHeader("X-User"), g.Param("tenant"), c.Handshake().Header.Get("X-User"))
		})
		siogin.Mount(r.Group("/t/:tenant", signIn), srv)
	})
	// One connection for all, as behind a proxy.
	shared := d.HTTP(t)
	var one sync.Mutex
	request := func(user, method, url, body string) (string, error) {
		one.Lock()
		defer one.Unlock()
		r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			return "", err
		}
		r.Header.Set("X-User", user)
		res, err := shared.Do(r)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(res.Body)
		return string(answer), err
	}
	var all sync.WaitGroup
	for i := range users {
		user := fmt.Sprint("user ", i)
		base := strings.Replace(d.Endpoint("EIO", "4", "transport", "polling"), "/socket.io/", fmt.Sprintf("/t/%d/socket.io/", i), 1)
		all.Go(func() {
			open, err := request(user, http.MethodGet, base, "")
			sid, _, ok := strings.Cut(strings.TrimPrefix(open, `0{"sid":"`), `"`)
			if err != nil || !ok {
				t.Errorf("opening: %q, %v", open, err)
				return
			}
			url := base + "&sid=" + sid
			if _, err := request(user, http.MethodPost, url, "40"); err != nil {
				t.Error(err)
			}
			if got, err := request(user, http.MethodGet, url, ""); err != nil || !strings.HasPrefix(got, "40{") {
				t.Errorf("connecting: %q, %v", got, err)
			}
			want := fmt.Sprintf(`431[%q,%q,"%d",%q]`, user, user, i, user)
			for range rounds {
				// The other requests of a session do not count, whoever sends them.
				if _, err := request("somebody else", http.MethodPost, url, `421["who"]`); err != nil {
					t.Error(err)
				}
				if got, err := request("somebody else", http.MethodGet, url, ""); err != nil || got != want {
					t.Errorf("got %s, want %s, error %v", got, want, err)
				}
			}
		})
	}
	all.Wait()
}
