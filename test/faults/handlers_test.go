package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// The connection is cut while a handler runs, which then panics, ends its goroutine, or
// returns an error. An event that came behind it is handled. The socket ends then, and the
// server logs one line for each failure. Other clients are served all the time.
func TestHandlerFailsWhileItsConnectionIsCut(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, func(s *site) {
			s.srv.On("fail", func(c *sio.Ctx) error {
				var how string
				if err := c.Bind(&how); err != nil {
					return err
				}
				s.note(how, "began")
				<-c.Context().Done()
				switch how {
				case "panic":
					panic("on purpose")
				case "exit":
					runtime.Goexit()
				}
				return errors.New("on purpose")
			})
		})
		const times = 10
		hows := []string{"panic", "exit", "error"}
		for _, how := range hows {
			for range times {
				c := openWebSocket(t, s.proxy.Addr())
				c.send(text(fmt.Sprintf(`421["fail",%q]`, how)), text(say(how, "next", "")), text("42["))
				c.drain() // the last packet is broken, so the server ends the session
				_ = c.Close()

				s.eventually("the event behind it is handled", func() string {
					if said := s.said(how); len(said) == 0 || said[len(said)-1] != "next" {
						return fmt.Sprint(said)
					}
					return ""
				})
				began := len(s.said(how))
				cut := openWebSocket(t, s.proxy.Addr())
				cut.send(text(fmt.Sprintf(`42["fail",%q]`, how)))
				s.eventually("the handler has begun", func() string {
					if n := len(s.said(how)); n <= began {
						return "not yet"
					}
					return ""
				})
				s.watch()
				s.proxy.Cut()
				cut.drain()
			}
		}
		s.log.quietBut(t, len(hows)*2*times, "on purpose", "goroutine")
		s.settle(append(lost(), sio.ReasonForcedClose)...)
	})
}

// quietBut checks that there are as many records, each with one of the texts, and no others.
func (l *loudLog) quietBut(t *testing.T, n int, texts ...string) {
	t.Helper()
	eventually(t, "the failures are logged", func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.records) < n {
			return fmt.Sprintf("%d of %d", len(l.records), n)
		}
		return ""
	})
	l.mu.Lock()
	if len(l.records) != n {
		t.Errorf("%d records, want %d", len(l.records), n)
	}
	l.mu.Unlock()
	l.quiet(t, texts...)
}

// A handler never returns. Its client goes, and others come and go: the server keeps that
// one socket, until the handler returns or Shutdown's context ends.
func TestHandlerNeverReturns(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		release := make(chan struct{})
		s := start(t, m, sio.Options{}, func(s *site) {
			s.srv.On("hang", func(*sio.Ctx) error {
				s.note("hang", "began")
				<-release
				return nil
			})
		})
		before := s.srv.ClientsCount()
		ws := openWebSocket(t, s.proxy.Addr())
		ws.send(text(`42["hang"]`))
		sid := openPolling(t, s.addr)
		wantAnswer(t, s.addr, http.MethodPost, sid, `42["hang"]`, http.StatusOK, "ok")
		s.eventually("the handlers have begun", func() string { return missing(s.said("hang"), "began", "began") })
		s.proxy.Cut()
		ws.drain()
		wantAnswer(t, s.addr, http.MethodPost, sid, "1", http.StatusOK, "ok")
		s.eventually("their clients have gone", func() string {
			if n := s.srv.ClientsCount(); n != before {
				return fmt.Sprint(n, " clients")
			}
			return ""
		})
		for i := range 20 {
			c := openWebSocket(t, s.proxy.Addr())
			c.send(text(`421` + say("next", fmt.Sprint(i), "")[2:]))
			c.want(fmt.Sprintf(`431["%d"]`, i))
			_ = c.Close()
		}
		s.watch()
		if n := s.ended(sio.ReasonTransportClose); n > 20 {
			t.Errorf("%d sockets have ended, so OnDisconnect did not wait for a handler", n)
		}
		close(release)
		s.settle(lost()...)
	})
}

// Shutdown's context ends while a handler hangs whose client has gone.
func TestShutdownWhileAHandlerHangs(t *testing.T) {
	srv := sio.New(nil)
	release, began := make(chan struct{}), make(chan bool)
	srv.On("hang", func(*sio.Ctx) error { began <- true; <-release; return nil })
	s := &http.Server{Handler: srv, ReadHeaderTimeout: waitLimit}
	l := listen(t)
	go func() { _ = s.Serve(l) }() // ends with Close below
	c := openWebSocket(t, l.Addr().String())
	c.send(text(`42["hang"]`))
	wait(t, began)
	_ = c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	close(release)
	if err := srv.Shutdown(within(t)); err != nil && !strings.Contains(err.Error(), "deadline") {
		t.Errorf("Shutdown, when the handler has returned: %v", err)
	}
	_ = s.Close()
}
