package frameworks_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	ginsessions "github.com/gin-contrib/sessions"
	gincookie "github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	fiber2 "github.com/gofiber/fiber/v2"
	fiber2session "github.com/gofiber/fiber/v2/middleware/session"
	fiber3 "github.com/gofiber/fiber/v3"
	fiber3session "github.com/gofiber/fiber/v3/middleware/session"
	"github.com/gorilla/sessions"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

var secret = []byte("a secret of at least thirty-two bytes")

type signedIn struct {
	mount siotest.Mount
	user  func(s *sio.Socket) string
}

// sessionApps have a route that begins a session, /login, and let those with a
// session into the mount. The session is saved with each answer, as is usual
// where it is to last as long as it is used.
var sessionApps = map[string]signedIn{
	"gin":     {ginSessions, func(s *sio.Socket) string { return siogin.Context(s).GetString("user") }},
	"echo":    {echoSessions, func(s *sio.Socket) string { u, _ := sioecho.ContextGet[string](s, "user"); return u }},
	"echov5":  {echoV5Sessions, func(s *sio.Socket) string { u, _ := sioechov5.ContextGet[string](s, "user"); return u }},
	"fiber":   {fiberSessions, func(s *sio.Socket) string { return siofiber.Locals[string](s, "user") }},
	"fiberv3": {fiberV3Sessions, func(s *sio.Socket) string { return siofiberv3.Locals[string](s, "user") }},
}

func ginSessions(t *testing.T, srv *sio.Server) siotest.Dialer {
	r := gin.New()
	r.Use(ginsessions.Sessions("session", gincookie.NewStore(secret)))
	r.GET("/login", func(c *gin.Context) {
		s := ginsessions.Default(c)
		s.Set("user", "ada")
		if err := s.Save(); err != nil {
			t.Error(err)
		}
	})
	siogin.Mount(r.Group("/", func(c *gin.Context) {
		s := ginsessions.Default(c)
		user, ok := s.Get("user").(string)
		if !ok {
			c.AbortWithStatus(http.StatusUnauthorized)
			return
		}
		c.Set("user", user)
		s.Set("seen", time.Now().UnixNano())
		if err := s.Save(); err != nil {
			t.Error(err)
		}
	}), srv)
	return siotest.Loopback(t, r)
}

func echoSessions(t *testing.T, srv *sio.Server) siotest.Dialer {
	store := sessions.NewCookieStore(secret)
	e := echo4.New()
	e.GET("/login", func(c echo4.Context) error {
		s, _ := store.Get(c.Request(), "session")
		s.Values["user"] = "ada"
		return s.Save(c.Request(), c.Response())
	})
	sioecho.Mount(e.Group("", func(next echo4.HandlerFunc) echo4.HandlerFunc {
		return func(c echo4.Context) error {
			s, _ := store.Get(c.Request(), "session")
			if s.IsNew {
				return echo4.ErrUnauthorized
			}
			c.Set("user", s.Values["user"])
			if err := s.Save(c.Request(), c.Response()); err != nil {
				return err
			}
			return next(c)
		}
	}), srv)
	return siotest.Loopback(t, e)
}

func echoV5Sessions(t *testing.T, srv *sio.Server) siotest.Dialer {
	store := sessions.NewCookieStore(secret)
	e := echo5.New()
	e.GET("/login", func(c *echo5.Context) error {
		s, _ := store.Get(c.Request(), "session")
		s.Values["user"] = "ada"
		return s.Save(c.Request(), c.Response())
	})
	sioechov5.Mount(e.Group("", func(next echo5.HandlerFunc) echo5.HandlerFunc {
		return func(c *echo5.Context) error {
			s, _ := store.Get(c.Request(), "session")
			if s.IsNew {
				return echo5.ErrUnauthorized
			}
			c.Set("user", s.Values["user"])
			if err := s.Save(c.Request(), c.Response()); err != nil {
				return err
			}
			return next(c)
		}
	}), srv)
	return siotest.Loopback(t, e)
}

func fiberSessions(t *testing.T, srv *sio.Server) siotest.Dialer {
	store := fiber2session.New()
	return onFiber(func(c *fiber2.Ctx) error {
		s, err := store.Get(c)
		if err != nil {
			return err
		}
		if c.Path() == "/login" {
			s.Set("user", "ada")
			return s.Save()
		}
		user, ok := s.Get("user").(string)
		if !ok {
			return fiber2.ErrUnauthorized
		}
		c.Locals("user", user)
		if err := s.Save(); err != nil {
			return err
		}
		return c.Next()
	})(t, srv)
}

func fiberV3Sessions(t *testing.T, srv *sio.Server) siotest.Dialer {
	return onFiberV3(fiber3session.New(), func(c fiber3.Ctx) error {
		s := fiber3session.FromContext(c)
		if c.Path() == "/login" {
			s.Set("user", "ada")
			return nil
		}
		user, ok := s.Get("user").(string)
		if !ok {
			return fiber3.ErrUnauthorized
		}
		c.Locals("user", user)
		return c.Next()
	})(t, srv)
}

// Sessions decide who may connect, are known to handlers, and may be saved with
// every answer, also with the one that opens a WebSocket.
func TestSessions(t *testing.T) {
	for name, app := range sessionApps {
		t.Run(name, func(t *testing.T) {
			whoIsWho(t, app, http.StatusUnauthorized, func(t *testing.T, d siotest.Dialer) http.Header {
				login := fetch(t, d.At("/login"), http.MethodGet, d.At("/login").URL, "")
				cookie, _, _ := strings.Cut(login.header.Get("Set-Cookie"), ";")
				if cookie == "" {
					t.Fatalf("no cookie: %+v", login)
				}
				for transport := range statuses {
					if got := open(t, d, transport, "Cookie", cookie); got.header.Get("Set-Cookie") == "" {
						t.Errorf("%s: the session is not saved: %+v", transport, got)
					}
				}
				return http.Header{"Cookie": {cookie}}
			})
		})
	}
}

// whoIsWho tests that the app refuses those who are not signed in with that
// status, and knows those who are.
func whoIsWho(t *testing.T, app signedIn, refused int, signIn func(*testing.T, siotest.Dialer) http.Header) {
	t.Helper()
	siotest.Transports(t, func(t *testing.T, enter siotest.Opener) {
		srv, d := app.mount.Serve(t, nil, func(srv *sio.Server) {
			srv.On("who", func(c *sio.Ctx) error { return c.Ack(app.user(c.Socket)) })
		})
		for transport := range statuses {
			if got := open(t, d, transport); got.status != refused {
				t.Errorf("%s: status %d without being signed in", transport, got.status)
			}
		}
		if n := srv.ClientsCount(); n != 0 {
			t.Errorf("%d sessions", n)
		}
		d.Header = signIn(t, d)
		c := enter(t, d)
		c.Connect("/", "")
		for i := range 3 {
			c.Send(fmt.Sprintf(`42%d["who"]`, i))
			c.Want(fmt.Sprintf(`43%d["ada"]`, i))
		}
	})
}
