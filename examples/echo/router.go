package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/program"
	"github.com/sioplug/sioplug/examples/signin"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
)

// app is the application: what its handlers need.
type app struct {
	room     *chat.Chat
	sessions *signin.Sessions
	site     chat.Site
}

func newRouter(srv *sio.Server, room *chat.Chat, s *signin.Sessions, localClient bool, admin http.Handler) *echo.Echo {
	a := &app{room: room, sessions: s, site: chat.Site{
		Framework: "Echo",
		Setup: []string{
			`// examples/echo/router.go`,
			`members := e.Group("", requireUser)`,
			`members.GET("/api/rooms", a.listRooms)`,
		},
		Mount:       `sioecho.Mount(members, srv)`,
		LocalClient: localClient,
	}}

	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect() // no proxy stands before this program
	e.HTTPErrorHandler = showError
	e.Use(middleware.RequestLoggerWithConfig(logging), middleware.Recover(), a.headers(), sameOrigin, a.loadUser)

	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.StaticFS("/assets", chat.Assets())
	limitBody := middleware.BodyLimit("16K") // ample for what the application's own routes accept
	e.GET("/", a.index)
	e.GET("/login", a.showLogin)
	e.POST("/login", a.login, limitBody)
	e.POST("/logout", a.logout, limitBody)

	members := e.Group("", requireUser)
	members.GET("/api/rooms", a.listRooms)
	members.POST("/api/token", a.token)
	members.POST("/api/rooms/:room/announce", a.announce, limitBody)
	sioecho.Mount(members, srv) // the line this example is about
	if admin != nil {
		members.GET("/admin/*", echo.WrapHandler(admin))
	}

	return e
}

func currentUser(c echo.Context) (chat.User, bool) {
	user, ok := c.Get("user").(chat.User)
	return user, ok
}

// sameOrigin turns away what pages of other origins send.
func sameOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !signin.SameOrigin(c.Request().Header.Get(echo.HeaderOrigin), c.Request().Host) {
			return echo.NewHTTPError(http.StatusForbidden, "this is for pages of this server only")
		}
		return next(c)
	}
}

// loadUser is what an application does for every request anyway: it reads the
// session and leaves the user to the handlers.
func (a *app) loadUser(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if cookie, err := c.Cookie(signin.CookieName); err == nil {
			if user, ok := a.sessions.User(c.Request().Context(), cookie.Value); ok {
				c.Set("user", user)
			}
		}
		return next(c)
	}
}

// requireUser turns everyone else away, Socket.IO handshakes included.
func requireUser(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, ok := currentUser(c); !ok {
			return echo.NewHTTPError(http.StatusUnauthorized, "please sign in")
		}
		return next(c)
	}
}

func (a *app) headers() echo.MiddlewareFunc {
	return middleware.SecureWithConfig(middleware.SecureConfig{
		ContentSecurityPolicy: a.site.ContentSecurityPolicy(),
		ContentTypeNosniff:    "nosniff",
		ReferrerPolicy:        "same-origin",
	})
}

var logging = middleware.RequestLoggerConfig{
	Skipper:     func(c echo.Context) bool { return program.Quiet(c.Request().URL.Path) },
	HandleError: true,
	LogMethod:   true, LogURIPath: true, LogStatus: true, LogLatency: true,
	LogValuesFunc: func(_ echo.Context, v middleware.RequestLoggerValues) error {
		slog.Info("request", "method", v.Method, "path", v.URIPath, "status", v.Status, "took", v.Latency)
		return nil
	},
}

// showError answers for handlers and middleware that have returned an error.
func showError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status, text := chat.ErrorStatus(err), chat.ErrorText(err)
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		status, text = e.Code, fmt.Sprint(e.Message)
	}
	if status >= http.StatusInternalServerError {
		slog.Error("request failed", "path", c.Request().URL.Path, "err", err)
	}
	_ = c.JSON(status, echo.Map{"error": text}) // fails if the client is gone
}

func (a *app) index(c echo.Context) error {
	user, ok := currentUser(c)
	if !ok {
		return c.Redirect(http.StatusSeeOther, "/login")
	}
	html, err := a.site.Index(user)
	return page(c, http.StatusOK, html, err)
}

func (a *app) showLogin(c echo.Context) error {
	return a.loginPage(c, http.StatusOK, "", "")
}

func (a *app) login(c echo.Context) error {
	user, err := a.room.NewUser(c.FormValue("name"))
	if err != nil {
		return a.loginPage(c, chat.ErrorStatus(err), c.FormValue("name"), chat.ErrorText(err))
	}
	c.SetCookie(a.sessions.Cookie(user, c.IsTLS()))
	return c.Redirect(http.StatusSeeOther, "/")
}

func (a *app) logout(c echo.Context) error {
	if user, ok := currentUser(c); ok {
		if err := a.sessions.SignOut(user); err != nil {
			return err
		}
	}
	c.SetCookie(signin.NoCookie(c.IsTLS()))
	return c.Redirect(http.StatusSeeOther, "/login")
}

func (a *app) listRooms(c echo.Context) error {
	return c.JSON(http.StatusOK, echo.Map{"rooms": a.room.Rooms()})
}

// token is for the page's socket, which gets the next one here before it ends.
func (a *app) token(c echo.Context) error {
	user, _ := currentUser(c) // requireUser has seen to it
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.JSON(http.StatusOK, a.sessions.Grant(user))
}

// announce is the other direction: an ordinary REST call that reaches sockets.
func (a *app) announce(c echo.Context) error {
	var in struct {
		Text string `json:"text"`
	}
	if err := c.Bind(&in); err != nil {
		return err
	}
	user, _ := currentUser(c) // likewise
	message, err := a.room.Announce(user, c.Param("room"), in.Text)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, message)
}

func (a *app) loginPage(c echo.Context, status int, name, problem string) error {
	html, err := a.site.Login(name, problem)
	return page(c, status, html, err)
}

func page(c echo.Context, status int, html []byte, err error) error {
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store") // it names the user
	return c.HTMLBlob(status, html)
}
