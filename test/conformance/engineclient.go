package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/sioplug/sioplug/core/engine"
)

// mountForEngineClient serves the tests of engine.io-client: it greets, echoes,
// and does three things on demand.
func mountForEngineClient(r *gin.Engine) {
	posts := &headers{bySession: make(map[string]map[string]string)}
	r.Use(posts.note)
	serveEngine(r, engine.NewServer(engine.Options{
		PingInterval:      500 * time.Millisecond,
		MaxHTTPBufferSize: 100,
		AllowRequest: func(r *engine.Request) error {
			if r.Query.Has("deny") {
				return &engine.HTTPError{Status: http.StatusForbidden}
			}
			return nil
		},
		OnInitialHeaders: func(h http.Header, _ *engine.Request) { setCookies(h) },
	}, func(s *engine.Session) engine.Handler { return &greeter{echo{s}, posts} }))
}

// setCookies sets two cookies and has two expire at once.
func setCookies(h http.Header) {
	h["Set-Cookie"] = []string{
		"1=1; Max-Age=86400",
		"2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
		"3=3; Max-Age=0",
		"4=4; Expires=" + time.Now().UTC().Format(http.TimeFormat),
	}
}

// A greeter says hi, then echoes what is no request.
type greeter struct {
	echo

	posts *headers
}

func (g *greeter) Opened() { _ = g.session.SendMessage(false, []byte("hi")) }

func (g *greeter) Message(binary bool, p []byte) {
	switch string(p) {
	case "give binary":
		g.echo.Message(true, []byte{0, 1, 2, 3, 4})
	case "give utf8":
		g.echo.Message(false, []byte("пойду спать всем спокойной ночи"))
	case "sendHeaders":
		g.echo.Message(false, g.posts.of(g.session.ID()))
	default:
		g.echo.Message(binary, p)
	}
}

func (g *greeter) Close(engine.Reason, error) { g.posts.forget(g.session.ID()) }

// Headers are those of the last POST of each session, under their names in lower
// case.
type headers struct {
	mu        sync.Mutex
	bySession map[string]map[string]string
}

// note is middleware.
func (h *headers) note(c *gin.Context) {
	id := c.Query("sid")
	if c.Request.Method != http.MethodPost || id == "" {
		return
	}
	named := make(map[string]string)
	for name, values := range c.Request.Header {
		named[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bySession[id] = named
}

func (h *headers) of(id string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	text, err := json.Marshal(h.bySession[id])
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

func (h *headers) forget(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.bySession, id)
}
