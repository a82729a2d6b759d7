package main

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/gofiber/fiber/v2/middleware/filesystem"
	"github.com/gofiber/fiber/v2/middleware/helmet"
	"github.com/gofiber/fiber/v2/middleware/logger"
	recovery "github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/gofiber/fiber/v2/utils"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/program"
	"github.com/sioplug/sioplug/examples/signin"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
)

// maxForm is ample for what the application's own routes accept.
const maxForm = 16 << 10

// app is the application: what its handlers need.
type app struct {
	room     *chat.Chat
	sessions *signin.Sessions
	site     chat.Site
}

func newApp(srv *sio.Server, room *chat.Chat, s *signin.Sessions, localClient bool, admin http.Handler) *fiber.App {
	a := &app{room: room, sessions: s, site: chat.Site{
		Framework: "Fiber",
		Setup: []string{
			`// examples/fiber/router.go`,
			`members := r.Group("/", requireUser)`,
			`members.Get("/api/rooms", a.listRooms)`,
		},
		Mount:       `siofiber.Mount(members, srv)`,
		LocalClient: localClient,
	}}

	r := fiber.New(fiber.Config{
		DisableStartupMessage:   true,
		EnableTrustedProxyCheck: true, // no proxy stands before this program
		ErrorHandler:            showError,
		ReadTimeout:             time.Minute,
	})
	if admin != nil { // before headers: it has its own
		r.Get("/admin/*", a.loadUser, requireUser, adaptor.HTTPHandler(admin))
	}
	r.Use(logger.New(logger.Config{Next: quiet}), recovery.New(), a.headers(), sameOrigin, a.loadUser)

	r.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	r.Use("/assets", filesystem.New(filesystem.Config{Root: http.FS(chat.Assets())}))
	r.Get("/", a.index)
	r.Get("/login", a.showLogin)
	r.Post("/login", limitBody, a.login)
	r.Post("/logout", limitBody, a.logout)

	members := r.Group("/", requireUser)
	members.Get("/api/rooms", a.listRooms)
	members.Post("/api/token", a.token)
	members.Post("/api/rooms/:room/announce", limitBody, a.announce)
	siofiber.Mount(members, srv) // the line this example is about

	return r
}

func currentUser(c *fiber.Ctx) (chat.User, bool) {
	user, ok := c.Locals("user").(chat.User)
	return user, ok
}

// sameOrigin turns away what pages of other origins send.
func sameOrigin(c *fiber.Ctx) error {
	if !signin.SameOrigin(c.Get(fiber.HeaderOrigin), c.Hostname()) {
		return fiber.NewError(fiber.StatusForbidden, "this is for pages of this server only")
	}
	return c.Next()
}

// loadUser is what an application does for every request anyway: it reads the
// session and leaves the user to the handlers.
func (a *app) loadUser(c *fiber.Ctx) error {
	if user, ok := a.sessions.User(c.UserContext(), c.Cookies(signin.CookieName)); ok {
		c.Locals("user", user)
	}
	return c.Next()
}

// requireUser turns everyone else away, Socket.IO handshakes included.
func requireUser(c *fiber.Ctx) error {
	if _, ok := currentUser(c); !ok {
		return fiber.NewError(fiber.StatusUnauthorized, "please sign in")
	}
	return c.Next()
}

func (a *app) headers() fiber.Handler {
	return helmet.New(helmet.Config{
		ContentSecurityPolicy: a.site.ContentSecurityPolicy(),
		ReferrerPolicy:        "same-origin",
	})
}

// limitBody is a limit for one route. Fiber has read the body already, up to its
// Config.BodyLimit.
func limitBody(c *fiber.Ctx) error {
	if len(c.Request().Body()) > maxForm {
		return fiber.ErrRequestEntityTooLarge
	}
	return c.Next()
}

func quiet(c *fiber.Ctx) bool { return program.Quiet(c.Path()) }

// showError answers for handlers and middleware that have returned an error.
func showError(c *fiber.Ctx, err error) error {
	status, text := chat.ErrorStatus(err), chat.ErrorText(err)
	if e, ok := errors.AsType[*fiber.Error](err); ok {
		status, text = e.Code, e.Message
	}
	if status >= fiber.StatusInternalServerError {
		slog.Error("request failed", "path", c.Path(), "err", err)
	}
	return c.Status(status).JSON(fiber.Map{"error": text})
}

func (a *app) index(c *fiber.Ctx) error {
	user, ok := currentUser(c)
	if !ok {
		return c.Redirect("/login", fiber.StatusSeeOther)
	}
	html, err := a.site.Index(user)
	return page(c, fiber.StatusOK, html, err)
}

func (a *app) showLogin(c *fiber.Ctx) error {
	return a.loginPage(c, fiber.StatusOK, "", "")
}

func (a *app) login(c *fiber.Ctx) error {
	user, err := a.room.NewUser(c.FormValue("name"))
	if err != nil {
		return a.loginPage(c, chat.ErrorStatus(err), c.FormValue("name"), chat.ErrorText(err))
	}
	setCookie(c, a.sessions.Cookie(user, c.Secure()))
	return c.Redirect("/", fiber.StatusSeeOther)
}

func (a *app) logout(c *fiber.Ctx) error {
	if user, ok := currentUser(c); ok {
		if err := a.sessions.SignOut(user); err != nil {
			return err
		}
	}
	setCookie(c, signin.NoCookie(c.Secure()))
	return c.Redirect("/login", fiber.StatusSeeOther)
}

func setCookie(c *fiber.Ctx, from *http.Cookie) {
	c.Cookie(&fiber.Cookie{
		Name: from.Name, Value: from.Value, Path: from.Path, MaxAge: from.MaxAge,
		HTTPOnly: from.HttpOnly, Secure: from.Secure, SameSite: fiber.CookieSameSiteLaxMode,
	})
}

func (a *app) listRooms(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"rooms": a.room.Rooms()})
}

// token is for the page's socket, which gets the next one here before it ends.
func (a *app) token(c *fiber.Ctx) error {
	user, _ := currentUser(c) // requireUser has seen to it
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(a.sessions.Grant(user))
}

// announce is the other direction: an ordinary REST call that reaches sockets.
func (a *app) announce(c *fiber.Ctx) error {
	var in struct {
		Text string `json:"text"`
	}
	if err := c.BodyParser(&in); err != nil {
		return fiber.NewError(fiber.StatusBadRequest, err.Error())
	}
	user, _ := currentUser(c)                  // likewise
	room := utils.CopyString(c.Params("room")) // it stays in the history, and Fiber uses its memory again
	message, err := a.room.Announce(user, room, in.Text)
	if err != nil {
		return err
	}
	return c.Status(fiber.StatusCreated).JSON(message)
}

func (a *app) loginPage(c *fiber.Ctx, status int, name, problem string) error {
	html, err := a.site.Login(name, problem)
	return page(c, status, html, err)
}

func page(c *fiber.Ctx, status int, html []byte, err error) error {
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store") // it names the user
	return c.Status(status).Type("html", "utf-8").Send(html)
}
