package sioclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
)

// A server that does not close its end does not keep the client.
func TestServerThatNeverCloses(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"websocket", "polling"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				end := make(chan bool)
				r := rogue{
					ws: func(c *rogueConn) {
						if c.accept() {
							for range 4 { // the disconnect, the close frame, and then nothing is read
								c.next()
							}
							<-end
						}
					},
					poll: polls(end, func(*http.Request) string { <-end; return "6" }),
				}
				s := newSocket(t, r.dialer(t), "/", once(transport))
				if err := s.Connect(context.Background()); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if err := s.Manager().Shutdown(context.Background()); err != nil || time.Since(start) > 10*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				close(end)
				time.Sleep(time.Minute)
			})
		})
	}
}

// polls serves polling: it opens a session, accepts the root namespace, and leaves the
// other polls to next.
func polls(end chan bool, next func(r *http.Request) string) func(w http.ResponseWriter, r *http.Request) {
	accepted := make(chan bool, 1)
	answered := false
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.URL.Query().Get("sid") == "":
			_, _ = w.Write([]byte(openPacket))
		case r.Method == http.MethodPost:
			select {
			case accepted <- true:
			default:
			}
			_, _ = w.Write([]byte("ok"))
		case !answered:
			answered = true
			select {
			case <-accepted:
			case <-end:
			}
			_, _ = w.Write([]byte(`40{"sid":"a"}`))
		default:
			_, _ = w.Write([]byte(next(r)))
		}
	}
}

// An answer without an end costs no more than its bound.
func TestEndlessAnswers(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter) (sent int) {
		for sent < 1<<28 {
			n, err := w.Write([]byte(strings.Repeat("x", 1<<16)))
			if sent += n; err != nil {
				break
			}
		}
		return sent
	}
	for name, tt := range map[string]struct {
		which func(r *http.Request) bool
		most  int64
		fails bool
	}{
		"handshake": {func(r *http.Request) bool { return r.URL.Query().Get("sid") == "" }, 1 << 24, true},
		"poll":      {func(r *http.Request) bool { return r.URL.Query().Get("sid") != "" && r.Method == http.MethodGet }, 1 << 24, true},
		"post":      {func(r *http.Request) bool { return r.Method == http.MethodPost }, 1 << 20, false}, // nobody looks at it
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			end := make(chan bool)
			defer close(end)
			fine := polls(end, func(*http.Request) string { <-end; return "6" })
			r := rogue{poll: func(w http.ResponseWriter, r *http.Request) {
				if which := tt.which(r); !which || !tt.fails {
					fine(w, r)
					if !which {
						return
					}
				}
				sent.Add(int64(endless(w)))
			}}
			o := once("polling")
			o.MaxMessageSize = 1 << 20
			d := r.dialer(t)
			s := newSocket(t, d, "/", o)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := s.Connect(ctx); (err != nil) != tt.fails || ctx.Err() != nil {
				t.Errorf("%v", err)
			}
			shutdown(t, s)
			if n := sent.Load(); n > tt.most {
				t.Errorf("the client has read %d bytes", n)
			}
		})
	}
}

// Redirects have an end.
func TestEndlessRedirects(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"websocket", "polling"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
			})
			s := newSocket(t, loopback(t, h), "/", once(transport))
			if err := s.Connect(within(t)); err == nil || !strings.Contains(err.Error(), "redirects") {
				t.Error(err)
			}
			if n := requests.Load(); n > 20 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The cookies that a server sets are bounded in number and in size.
func TestCLI_OP_4_CookiesAreBounded(t *testing.T) {
	t.Parallel()
	var most, rounds atomic.Int64
	end, done := make(chan bool), make(chan bool)
	fine := polls(end, func(*http.Request) string {
		if rounds.Add(1) == 30 {
			close(done)
			<-end
		}
		return "6"
	})
	r := rogue{poll: func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), int64(len(strings.Join(r.Header["Cookie"], "")))))
		n := rounds.Load()
		for i := range 20 {
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("c", n, "_", i), Value: strings.Repeat("v", 1000), Path: "/"})
		}
		http.SetCookie(w, &http.Cookie{Name: "huge", Value: strings.Repeat("v", 100_000), Path: "/"})
		http.SetCookie(w, &http.Cookie{Name: "route", Value: fmt.Sprint(n), Path: "/"})
		fine(w, r)
	}}
	o := once("polling")
	o.WithCredentials = true
	s := newSocket(t, r.dialer(t), "/", o)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	<-done
	close(end)
	shutdown(t, s)
	if got := most.Load(); got > 160_000 || got < 20_000 {
		t.Errorf("a request had %d bytes of cookies", got)
	}
}

// What a server can make handlers return is no noise in the log.
func TestServersCannotFillTheLog(t *testing.T) {
	t.Parallel()
	srv := newServer(nil)
	srv.OnConnect(func(c *sio.Ctx) error {
		return errors.Join(c.Emit("number", "no number"), c.Emit("wait"), c.Emit("done"))
	})
	var log lockedBuffer
	o := once("websocket")
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	s := newSocket(t, loopback(t, srv), "/", o)
	done := make(chan bool, 2)
	s.On("number", sioclient.Bind(func(*sioclient.Ctx, int) error { return nil }))
	s.On("wait", func(c *sioclient.Ctx) error {
		c.Manager().Disconnect() // as a server that goes meanwhile
		<-c.Context().Done()
		done <- true
		return context.Cause(c.Context())
	})
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	wait(t, done)
	shutdown(t, s)
	if got := log.String(); got != "" {
		t.Errorf("the log: %s", got)
	}
}
