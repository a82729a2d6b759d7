package main

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// maxForm is ample for what the application's own routes accept.
const maxForm = 16 << 10

// app is the application: what its handlers need.
type app struct {
	room     *chat.Chat
	sessions sessions
	site     chat.Site
}

func newRouter(srv *sio.Server, room *chat.Chat, s sessions, localClient bool) http.Handler {
	a := &app{room: room, sessions: s, site: chat.Site{
		Framework: "Gin",
		Setup: []string{
			`// examples/gin/router.go`,
			`members := r.Group("/", a.requireUser)`,
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

	members := r.Group("/", a.requireUser)
	members.GET("/api/rooms", a.listRooms)
	members.POST("/api/rooms/:room/announce", limitBody, a.announce)
	siogin.Mount(members, srv) // the line this example is about

	return r
}

// userOf tells the chat who is behind a socket: whom Gin's middleware found when
// the connection was made.
func userOf(s *sio.Socket) chat.User {
	user, _ := currentUser(siogin.Context(s))
	return user
}

func currentUser(c *gin.Context) (chat.User, bool) {
	user, ok := c.Value("user").(chat.User)
	return user, ok
}

// sameOrigin turns away what pages of other origins send. Their requests may
// carry our cookie: SameSite does not tell the ports of localhost apart, and no
// CORS keeps a page from opening a WebSocket.
func sameOrigin(c *gin.Context) {
	origin := c.GetHeader("Origin")
	if u, err := url.Parse(origin); origin != "" && (err != nil || u.Host != c.Request.Host) {
		c.AbortWithStatusJSON(http.StatusForbidden, gin.H{"error": "this is for pages of this server only"})
	}
}

// loadUser is what an application does for every request anyway: it reads the
// session and leaves the user to the handlers.
func (a *app) loadUser(c *gin.Context) {
	if token, err := c.Cookie(sessionCookie); err == nil {
		if user, ok := a.sessions.open(token); ok {
			c.Set("user", user)
		}
	}
}

// requireUser turns everyone else away, Socket.IO handshakes included.
func (a *app) requireUser(c *gin.Context) {
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

// quiet keeps what a page asks for by the dozen out of the log.
func quiet(c *gin.Context) bool {
	path := c.Request.URL.Path
	return strings.HasPrefix(path, "/socket.io/") || strings.HasPrefix(path, "/assets/") || path == "/healthz"
}

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
	if _, ok := currentUser(c); ok {
		c.Redirect(http.StatusSeeOther, "/")
		return
	}
	a.loginPage(c, http.StatusOK, "", "")
}

func (a *app) login(c *gin.Context) {
	name, err := chat.CleanName(c.PostForm("name"))
	if err != nil {
		a.loginPage(c, http.StatusUnprocessableEntity, c.PostForm("name"), chat.ErrorText(err))
		return
	}
	user := newUser(name)
	if a.room.Taken(user) {
		a.loginPage(c, http.StatusConflict, name, "Somebody called "+name+" is here already. Please choose another name.")
		return
	}
	http.SetCookie(c.Writer, a.sessions.cookie(user, c.Request.TLS != nil))
	c.Redirect(http.StatusSeeOther, "/")
}

func (a *app) logout(c *gin.Context) {
	if user, ok := currentUser(c); ok {
		a.room.SignOut(user)
	}
	http.SetCookie(c.Writer, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1})
	c.Redirect(http.StatusSeeOther, "/login")
}

func (a *app) listRooms(c *gin.Context) {
	c.JSON(http.StatusOK, gin.H{"rooms": a.room.Rooms()})
}

// announce is the other direction: an ordinary REST call that reaches sockets.
func (a *app) announce(c *gin.Context) {
	var in struct {
		Text string `json:"text"`
	}
	if err := c.ShouldBindJSON(&in); err != nil {
		c.JSON(http.StatusBadRequest, gin.H{"error": "the body is not JSON with a text"})
		return
	}
	user, _ := currentUser(c) // requireUser has seen to it
	message, err := a.room.Announce(user, c.Param("room"), in.Text)
	switch {
	case errors.Is(err, chat.ErrNoRoom):
		c.JSON(http.StatusNotFound, gin.H{"error": chat.ErrorText(err)})
	case err != nil:
		c.JSON(http.StatusUnprocessableEntity, gin.H{"error": chat.ErrorText(err)})
	default:
		c.JSON(http.StatusCreated, message)
	}
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
