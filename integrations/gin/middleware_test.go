package siogin_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

// serveGin returns a server behind Gin; build mounts it.
func serveGin(t *testing.T, build func(r *gin.Engine, srv *sio.Server)) (*sio.Server, siotest.Dialer) {
	t.Helper()
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		r := newEngine()
		build(r, srv)
		return siotest.Loopback(t, r)
	})
	return mount.Serve(t, nil, func(*sio.Server) {})
}

func TestMiddlewareRefusesBeforeThereIsASession(t *testing.T) {
	srv, d := serveGin(t, func(r *gin.Engine, srv *sio.Server) {
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
	var log mounttest.Log
	srv := sio.New(&sio.Options{Logger: log.Logger()})
	r := gin.New()
	siogin.Mount(r, srv)
	// Outside of gin, as http.TimeoutHandler is: gin's own writer promises to be
	// a Hijacker and panics if it is not.
	h := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.ServeHTTP(hiding{w}, q) })
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

// hiding is a writer that cannot be unwrapped, as that of http.TimeoutHandler.
type hiding struct{ w http.ResponseWriter }

func (h hiding) Header() http.Header         { return h.w.Header() }
func (h hiding) WriteHeader(status int)      { h.w.WriteHeader(status) }
func (h hiding) Write(p []byte) (int, error) { return h.w.Write(p) }
