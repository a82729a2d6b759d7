package siogin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	goleak.VerifyTestMain(m)
}

// framework is Gin.
var framework = mounttest.Framework{
	Serve: serve,
	Start: func(t *testing.T, srv *sio.Server) *mounttest.Running {
		r := gin.New()
		siogin.Mount(r, srv)
		return mounttest.StartHTTP(t, r)
	},
	Request: func(s *sio.Socket) (r mounttest.Request) {
		c := siogin.Context(s)
		if c != siogin.Context(s) {
			return r // all have the same, while somebody has it
		}
		r.Cookie, _ = c.Cookie("session")
		r.User, r.Tenant, r.Header, r.Query = c.GetString("user"), c.Param("tenant"), c.GetHeader("X-Test"), c.Query("room")
		r.Address, r.Route, r.Path = c.ClientIP(), c.FullPath(), c.Request.URL.Path
		return r
	},
	Route: route(),
	Path:  "/t/acme/socket.io/",
	Hidden: func(s *sio.Socket) (names []string) {
		for _, p := range siogin.Context(s).Params {
			if p.Key != "tenant" {
				names = append(names, p.Key)
			}
		}
		return names
	},
	TLS: func(s *sio.Socket) bool {
		state := siogin.Context(s).Request.TLS
		return state != nil && state.HandshakeComplete
	},
	Unknown:     func(s *sio.Socket) bool { return siogin.Context(s) == nil },
	HTTPRequest: func(s *sio.Socket) *http.Request { return siogin.Context(s).Request },
	NotFound:    "404 404 page not found$",
}

func TestMount(t *testing.T)                                 { framework.Mounts(t) }
func TestPathsAndFiles(t *testing.T)                         { framework.Paths(t) }
func TestUnfinishedPost(t *testing.T)                        { framework.UnfinishedPost(t, false) }
func TestHandshakes(t *testing.T)                            { framework.Handshakes(t) }
func TestContextHasWhatTheRequestHad(t *testing.T)           { framework.Values(t) }
func TestContextHoldsNothingOfTheConnection(t *testing.T)    { framework.NothingOfTheConnection(t) }
func TestContextIsReadByManyAtOnce(t *testing.T)             { framework.ManyAtOnce(t) }
func TestTLSStateIsThere(t *testing.T)                       { framework.TLSState(t) }
func TestContextOfASocketFromAnotherMountIsNil(t *testing.T) { framework.OtherMount(t) }
func TestShutdownTogetherWithTheHTTPServer(t *testing.T)     { framework.ShutdownFirst(t) }

// route is what FullPath says. Copies of a context have none before Gin 1.10.
func route() string {
	if strings.HasPrefix(gin.Version, "v1.8.") || strings.HasPrefix(gin.Version, "v1.9.") {
		return ""
	}
	return "/t/:tenant/socket.io/*sioplug"
}

// signIn keeps the header X-User as Gin's key "user", and refuses mallory.
func signIn(c *gin.Context) {
	user := c.GetHeader("X-User")
	if user == "mallory" {
		c.AbortWithStatus(http.StatusUnauthorized)
		return
	}
	c.Set("user", user)
	c.Header("X-Signed-In", user)
}

// newEngine returns an engine that trusts these proxies; Gin's default is all.
func newEngine(proxies ...string) *gin.Engine {
	r := gin.New()
	if err := r.SetTrustedProxies(proxies); err != nil {
		panic(err)
	}
	return r
}

func serve(t *testing.T, srv *sio.Server, app mounttest.App) siotest.Dialer {
	t.Helper()
	r := newEngine()
	if app.Proxy {
		r = newEngine("127.0.0.1")
	}
	r.Use(gin.RecoveryWithWriter(t.Output()))
	r.GET("/other", func(c *gin.Context) { c.String(http.StatusOK, "other") })
	var mw []gin.HandlerFunc
	if app.SignIn {
		mw = append(mw, signIn)
	}
	switch {
	case app.Path != "":
		r.Any(app.Path, append(mw, siogin.Handler(srv))...)
	case app.Group == "" && len(mw) == 0:
		siogin.Mount(r, srv)
	default:
		siogin.Mount(r.Group(app.Group, mw...), srv)
	}
	if app.TLS {
		return siotest.LoopbackTLS(t, r)
	}
	return siotest.Loopback(t, r)
}
