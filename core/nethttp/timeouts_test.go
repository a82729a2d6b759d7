package nethttp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// inFakeTime runs a test in a bubble, with a server behind an http.Server that
// has these settings.
func inFakeTime(t *testing.T, log slog.Handler, settings func(srv *sio.Server) *http.Server, run func(t *testing.T, d siotest.Dialer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := sio.New(&sio.Options{Logger: slog.New(log)})
		srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
		d := siotest.ServePipes(t, settings(srv))
		t.Cleanup(func() {
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
		run(t, d)
	})
}

// The timeouts of an HTTP server are for requests, and a poll is one that takes
// as long as it takes.
func TestPollsOutliveTheTimeoutsOfTheHTTPServer(t *testing.T) {
	for name, limit := range map[string]func(*http.Server){
		"ReadTimeout":  func(s *http.Server) { s.ReadTimeout = 5 * time.Second },
		"WriteTimeout": func(s *http.Server) { s.WriteTimeout = 5 * time.Second },
		"IdleTimeout":  func(s *http.Server) { s.IdleTimeout = 5 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
				inFakeTime(t, failing{t}, func(srv *sio.Server) *http.Server {
					hs := &http.Server{Handler: srv, ReadHeaderTimeout: time.Second}
					limit(hs)
					return hs
				}, func(t *testing.T, d siotest.Dialer) {
					c := open(t, d)
					c.Connect("/", "")
					sendLater(t, c, time.Hour) // polls are parked until then, with pings between
				})
			})
		})
	}
}

// sendLater sends an event after some time, in which the client waits for
// packets, and waits for the answer.
func sendLater(t *testing.T, c *siotest.Client, d time.Duration) {
	t.Helper()
	sent := make(chan error, 1)
	time.AfterFunc(d, func() { sent <- c.TrySend(`42["echo","late"]`) })
	c.Want(`42["echo","late"]`)
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// What is sent to a client that does not read is still limited.
func TestWriteTimeoutHoldsForTheAnswerToAPoll(t *testing.T) {
	inFakeTime(t, failing{t}, func(srv *sio.Server) *http.Server {
		return &http.Server{Handler: srv, WriteTimeout: 5 * time.Second, ReadHeaderTimeout: time.Second}
	}, func(t *testing.T, d siotest.Dialer) {
		c := d.Polling(t)
		c.Connect("/", "")
		nc, err := d.Dial(t.Context(), "tcp", "pipe.test")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		path := strings.TrimPrefix(d.Endpoint("EIO", "4", "transport", "polling", "sid", c.SID()), "http://pipe.test")
		if _, err := io.WriteString(nc, "GET "+path+" HTTP/1.1\r\nHost: pipe.test\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25*time.Second + 5*time.Second) // the ping answers the poll, which nobody reads
		synctest.Wait()
		if answer, err := io.ReadAll(nc); len(answer) > 0 || err != nil {
			t.Errorf("the connection was not closed: %q, %v", answer, err)
		}
	})
}

// Middleware wraps writers, mostly by embedding, often without a thought of
// deadlines.
func TestWriteTimeoutIsLiftedBelowOtherWriters(t *testing.T) {
	type embedding struct{ http.ResponseWriter }
	inFakeTime(t, failing{t}, func(srv *sio.Server) *http.Server {
		return &http.Server{
			WriteTimeout: 5 * time.Second, ReadHeaderTimeout: time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				srv.ServeHTTP(&embedding{embedding{w}}, r)
			}),
		}
	}, func(t *testing.T, d siotest.Dialer) {
		c := d.Polling(t)
		c.Connect("/", "")
		sendLater(t, c, time.Minute)
	})
}

// hiding is a writer that cannot be unwrapped.
type hiding struct{ w http.ResponseWriter }

func (h hiding) Header() http.Header         { return h.w.Header() }
func (h hiding) WriteHeader(status int)      { h.w.WriteHeader(status) }
func (h hiding) Write(p []byte) (int, error) { return h.w.Write(p) }

func TestWriteTimeoutThatCannotBeLiftedIsAnErrorThatNamesTheFix(t *testing.T) {
	var log strings.Builder
	inFakeTime(t, slog.NewTextHandler(&log, nil), func(srv *sio.Server) *http.Server {
		return &http.Server{
			WriteTimeout: 5 * time.Second, ReadHeaderTimeout: time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { srv.ServeHTTP(hiding{w}, r) }),
		}
	}, func(t *testing.T, d siotest.Dialer) {
		c := d.Polling(t)
		c.Connect("/", "")
		if p, err := c.TryNext(); err == nil {
			t.Errorf("the poll was not cut off: %q", p)
		}
	})
	for _, want := range []string{"level=ERROR", "WriteTimeout", "Unwrap"} {
		if strings.Count(log.String(), want) == 0 {
			t.Errorf("log has no %q: %s", want, log.String())
		}
	}
}

// failing is a log in which nothing may appear.
type failing struct{ t *testing.T }

func (failing) Enabled(_ context.Context, level slog.Level) bool { return level > slog.LevelDebug }

func (f failing) Handle(_ context.Context, r slog.Record) error {
	f.t.Errorf("logged at %v: %s", r.Level, r.Message)
	return nil
}

func (f failing) WithAttrs([]slog.Attr) slog.Handler { return f }
func (f failing) WithGroup(string) slog.Handler      { return f }
