package siogin_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

func TestMiddlewareRefusesBeforeThereIsASession(t *testing.T) {
	srv, d := serve(t, nil, func(r *gin.Engine, srv *sio.Server) {
		srv.UseConnect(sio.Guard(func(*sio.Ctx) error { t.Error("a socket"); return nil }))
		siogin.Mount(r.Group("/", func(c *gin.Context) { c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "sign in"}) }), srv)
	})
	for _, transport := range []string{"polling", "websocket"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			r, err := http.NewRequestWithContext(t.Context(), method, d.Endpoint("EIO", "4", "transport", transport), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if transport == "websocket" {
				r.Header = http.Header{
					"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
					"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
				}
			}
			res, err := d.HTTP(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err := errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != http.StatusUnauthorized || string(body) != `{"error":"sign in"}` {
				t.Errorf("%s %s: status %d, %s, %v", method, transport, res.StatusCode, body, err)
			}
		}
	}
	if n := srv.ClientsCount(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestWriterThatCannotBeHijackedIsAnErrorThatNamesTheFix(t *testing.T) {
	var log strings.Builder
	var mu sync.Mutex
	logger := slog.New(slog.NewTextHandler(lockedWriter{&mu, &log}, nil))
	srv := sio.New(&sio.Options{Logger: logger})
	r := gin.New()
	siogin.Mount(r, srv)
	// Outside of gin, as http.TimeoutHandler is: gin's own writer promises to be
	// a Hijacker and panics if it is not.
	h := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.ServeHTTP(struct{ http.ResponseWriter }{w}, q) })
	d := siotest.Loopback(t, h)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Endpoint("EIO", "4", "transport", "websocket"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	q.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	res, err := d.HTTP(t).Do(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", res.StatusCode)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"level=ERROR", "Hijacker", "middleware"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log has no %q: %s", want, log.String())
		}
	}
	if n := srv.ClientsCount(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	c := d.Polling(t) // still works
	c.Connect("/", "")
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// gin.Recovery must not see panics of handlers, and gin.Logger must not see a
// WebSocket as a request that takes for ever.
func TestRecoveryAndLoggerAroundIt(t *testing.T) {
	var recovered strings.Builder
	var mu sync.Mutex
	logged := make(lines, 20)
	_, d := serve(t, &sio.Options{Logger: slog.New(slog.DiscardHandler)}, func(r *gin.Engine, srv *sio.Server) {
		r.Use(gin.LoggerWithWriter(logged), gin.RecoveryWithWriter(lockedWriter{&mu, &recovered}))
		srv.On("panic", func(*sio.Ctx) error { panic("on purpose") })
		siogin.Mount(r, srv)
	})
	c := d.WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["panic"]`)
	c.Want(`431[{"error":{"message":"internal error"}}]`)
	logged.want(t, "101", "transport=websocket")
	p := d.Polling(t)
	p.Connect("/", "")
	p.Send(`421["panic"]`)
	p.Want(`431[{"error":{"message":"internal error"}}]`)
	logged.want(t, "200", "transport=polling")
	mu.Lock()
	defer mu.Unlock()
	if recovered.Len() > 0 {
		t.Errorf("gin.Recovery says: %s", recovered.String())
	}
}

// lines are what a logger writes, which it may do after the client was answered.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// want waits for the next line and fails the test unless it has these parts.
func (l lines) want(t *testing.T, parts ...string) {
	t.Helper()
	line := <-l
	for _, part := range parts {
		if !strings.Contains(line, part) {
			t.Errorf("log has no %q: %s", part, line)
		}
	}
}
