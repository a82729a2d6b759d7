package main

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/program"
	"github.com/sioplug/sioplug/examples/signin"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// maxForm is ample for what the application's own routes accept.
const maxForm = 16 << 10

// app is the application: what its handlers need.
type app struct {
	room     *chat.Chat
	sessions *signin.Sessions
	site     chat.Site
}

func newRouter(srv *sio.Server, room *chat.Chat, s *signin.Sessions, localClient bool, admin http.Handler) http.Handler {
	a := &app{room: room, sessions: s, site: chat.Site{
		Framework: "Gin",
		Setup: []string{
			`// examples/gin/router.go`,
			`members := r.Group("/", requireUser)`,
			`members.GET("/api/rooms", a.listRooms)`,
		},
		Mount:       `siogin.Mount(members, srv)`,
		LocalClient: localClient,
	}}

	r := gin.New()
	_ = r.SetTrustedProxies(nil) // no proxy stands before this program; nil is always accepted
	r.Use(gin.LoggerWithConfig(gin.LoggerConfig{Skip: quiet}), gin.Recovery(), sameOrigin, a.headers, a.loadUser)

	r.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	r.StaticFS("/assets", http.FS(chat.Assets()))
	r.GET("/", a.index)
	r.GET("/login", a.showLogin)
	r.POST("/login", limitBody, a.login)
	r.POST("/logout", limitBody, a.logout)

	members := r.Group("/", requireUser)
	members.GET("/api/rooms", a.listRooms)
	members.POST("/api/token", a.token)
	members.POST("/api/rooms/:room/announce", limitBody, a.announce)
	siogin.Mount(members, srv) // the line this example is about
	if admin != nil {
		members.GET("/admin/*file", gin.WrapH(admin))
	}

	return r
}

func currentUser(c *gin.Context) (chat.User, bool) {
	user, ok := c.Value("user").(chat.User)
	return user, ok
}

// sameOrigin turns away what pages of other origins send.
func sameOrigin(c *gin.Context) {
	if !signin.SameOrigin(c.GetHeader("Origin"), c.Request.Host) {
		c.AbortWithStatusJSON(http.StatusForbidden, gin.H{"error": "this is for pages of this server only"})
	}
}

// loadUser is what an application does for every request anyway: it reads the
// session and leaves the user to the handlers.
func (a *app) loadUser(c *gin.Context) {
	if token, err := c.Cookie(signin.CookieName); err == nil {
		if user, ok := a.sessions.User(c.Request.Context(), token); ok {
			c.Set("user", user)
		}
	}
}

// requireUser turns everyone else away, Socket.IO handshakes included.
func requireUser(c *gin.Context) {
	if _, ok := currentUser(c); !ok {
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "please sign in"})
	}
}

func (a *app) headers(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", a.site.ContentSecurityPolicy())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
}

func limitBody(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
}

func quiet(c *gin.Context) bool { return program.Quiet(c.Request.URL.Path) }

func (a *app) index(c *gin.Context) {
	user, ok := currentUser(c)
	if !ok {
		c.Redirect(http.StatusSeeOther, "/login")
		return
	}
	html, err := a.site.Index(user)
	page(c, http.StatusOK, html, err)
}

func (a *app) showLogin(c *gin.Context) {
	a.loginPage(c, http.StatusOK, "", "")
}

func (a *app) login(c *gin.Context) {
	user, err := a.room.NewUser(c.PostForm("name"))
	if err != nil {
		a.loginPage(c, chat.ErrorStatus(err), c.PostForm("name"), chat.ErrorText(err))
		return
	}
	http.SetCookie(c.Writer, a.sessions.Cookie(user, c.Request.TLS != nil))
	c.Redirect(http.StatusSeeOther, "/")
}

func (a *app) logout(c *gin.Context) {
	if user, ok := currentUser(c); ok {
		if err := a.sessions.SignOut(user); err != nil {
			_ = c.AbortWithError(http.StatusInternalServerError, err) // returns what it was given
			return
		}
	}
	http.SetCookie(c.Writer, signin.NoCookie(c.Request.TLS != nil))
	c.Redirect(http.StatusSeeOther, "/login")
}

func (a *app) listRooms(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"rooms": a.room.Rooms()})
}

// token is for the page's socket, which gets the next one here before it ends.
func (a *app) token(c *gin.Context) {
	user, _ := currentUser(c) // requireUser has seen to it
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, a.sessions.Grant(user))
}

// announce is the other direction: an ordinary REST call that reaches sockets.
func (a *app) announce(c *gin.Context) {
	var in struct {
		Text string `json:"text"`
	}
	if err := c.ShouldBindJSON(&in); err != nil {
		c.JSON(bodyStatus(err), gin.H{"error": err.Error()})
		return
	}
	user, _ := currentUser(c) // likewise
	message, err := a.room.Announce(user, c.Param("room"), in.Text)
	if err != nil {
		c.JSON(chat.ErrorStatus(err), gin.H{"error": chat.ErrorText(err)})
		return
	}
	c.JSON(http.StatusCreated, message)
}

func bodyStatus(err error) int {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

func (a *app) loginPage(c *gin.Context, status int, name, problem string) {
	html, err := a.site.Login(name, problem)
	page(c, status, html, err)
}

func page(c *gin.Context, status int, html []byte, err error) {
	if err != nil {
		_ = c.AbortWithError(http.StatusInternalServerError, err) // returns what it was given
		return
	}
	c.Header("Cache-Control", "no-store") // it names the user
	c.Data(status, "text/html; charset=utf-8", html)
}
