package sio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A failure is a way for a function of the application to fail, and its result. See
// "Application code" in docs/architecture.md.
type failure struct {
	fail  func() error
	wire  string // what the client gets to see
	level string
	stack bool
}

func failures() map[string]failure {
	return map[string]failure{
		"Error":              {func() error { return &sio.Error{Message: "no"} }, `{"message":"no"}`, "DEBUG", false},
		"Error with data":    {func() error { return &sio.Error{Message: "no", Data: map[string]int{"code": 7}} }, `{"message":"no","data":{"code":7}}`, "DEBUG", false},
		"Error with cause":   {func() error { return &sio.Error{Message: "no", Err: errors.New("cause")} }, `{"message":"no"}`, "DEBUG", false},
		"Error wrapped":      {func() error { return fmt.Errorf("wrapped: %w", &sio.Error{Message: "no"}) }, `{"message":"no"}`, "DEBUG", false},
		"other error":        {func() error { return errors.New("cause") }, `{"message":"internal error"}`, "ERROR", false},
		"panic":              {func() error { panic("cause") }, `{"message":"internal error"}`, "ERROR", true},
		"panic with error":   {func() error { panic(&sio.Error{Message: "cause"}) }, `{"message":"internal error"}`, "ERROR", true},
		"nil map":            {func() error { assign(nil); return nil }, `{"message":"internal error"}`, "ERROR", true},
		"panic with nothing": {func() error { panic(nil) }, `{"message":"internal error"}`, "ERROR", true},
	}
}

func assign(m map[string]int) { m["cause"]++ }

// check looks at what was logged: one record of the level, with the cause, a
// stack only for a panic, and nothing else above Debug.
func (f failure) check(t *testing.T, l *logbook, msg string) {
	t.Helper()
	l.mustNotTell(t)
	line := l.one(t, msg)
	if !strings.HasPrefix(line, f.level+" ") {
		t.Errorf("logged: %s, want level %s", line, f.level)
	}
	if got := strings.Contains(line, " stack="); got != f.stack {
		t.Errorf("has a stack: %v; logged: %s", got, line)
	}
	want := 0
	if f.level == "ERROR" {
		want = 1
	}
	if above := l.above(); len(above) != want {
		t.Errorf("logged above Debug: %q", above)
	}
}

func TestErrorsInTheConnectChain(t *testing.T) {
	for name, f := range failures() {
		t.Run(name, func(t *testing.T) {
			l := new(logbook)
			bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				open := true
				srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
					if open {
						return nil
					}
					return f.fail()
				}))
				echo(srv.Namespace)
				other := d.WebSocket(t)
				other.Connect("/", "")
				synctest.Wait()
				open = false
				c := d.WebSocket(t)
				c.Send(`40{"token":"` + secret + `"}`)
				c.Want("44" + f.wire)
				f.check(t, l, "connection refused")
				mustEcho(t, other)
				synctest.Wait()
				open = true
				c.Connect("/", "") // the connection was kept
				mustEcho(t, c)
			})
		})
	}
}

func TestSIO_BAD_7_ErrorsOfEvents(t *testing.T) {
	for name, f := range failures() {
		for where, register := range map[string]func(*sio.Server, sio.Handler){
			"handler":    func(srv *sio.Server, h sio.Handler) { srv.On("event", h) },
			"middleware": func(srv *sio.Server, h sio.Handler) { srv.UseEvents(sio.Guard(h)) },
			"unknown":    func(srv *sio.Server, h sio.Handler) { srv.OnUnknown(h) },
		} {
			t.Run(name+"/"+where, func(t *testing.T) {
				l := new(logbook)
				bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					register(srv, func(*sio.Ctx) error { return f.fail() })
					c := d.WebSocket(t)
					c.Connect("/", "")
					c.Send(`4212["event","` + secret + `"]`)
					c.Want(`4312[{"error":` + f.wire + `}]`)
					f.check(t, l, "handler failed")
				})
			})
		}
	}
}

func TestErrorsOfEventsWithoutAckAreNotSent(t *testing.T) {
	for name, f := range failures() {
		t.Run(name, func(t *testing.T) {
			l := new(logbook)
			bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.On("event", func(*sio.Ctx) error { return f.fail() })
				echo(srv.Namespace)
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`42["event","` + secret + `"]`)
				mustEcho(t, c)
				f.check(t, l, "handler failed")
			})
		})
	}
}

func TestErrorsInOnConnectDisconnect(t *testing.T) {
	for name, f := range failures() {
		t.Run(name, func(t *testing.T) {
			l := new(logbook)
			bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s story
				srv.OnConnect(func(*sio.Ctx) error { return f.fail() })
				srv.OnConnect(func(*sio.Ctx) error { s.add("second OnConnect"); return nil })
				srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { s.add("%s", r) })
				echo(srv.Of("/other"))
				c := d.WebSocket(t)
				c.Connect("/", `{"token":"`+secret+`"}`)
				c.Want("41")
				synctest.Wait()
				s.want(t, "server namespace disconnect")
				f.check(t, l, "OnConnect failed")
				c.Connect("/other", "")
			})
		})
	}
}

func TestPanicInOnDisconnectIsLoggedAndTheRestRuns(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { panic("cause") })
		srv.OnDisconnect(func(c *sio.Socket, _ sio.Reason) { s.add("%d rooms", len(c.Rooms())) })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send("41")
		synctest.Wait()
		s.want(t, "1 rooms")
		failure{level: "ERROR", stack: true}.check(t, l, "OnDisconnect failed")
	})
}

func TestUndecodableArgumentIsInvalidPayload(t *testing.T) {
	type post struct {
		Text string `json:"text"`
	}
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("bind", sio.Bind(func(c *sio.Ctx, _ post) error { return c.Ack() }))
		srv.On("reply", sio.Reply(func(*sio.Ctx, post) (int, error) { return 1, nil }))
		srv.On("second", func(c *sio.Ctx) error {
			if err := c.Bind(nil, new(int)); err != nil {
				return err
			}
			return c.Ack("fits")
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		for _, event := range []string{
			`["bind",{"text":1}]`, `["bind"]`, `["bind","` + secret + `"]`, `["reply",[]]`, `["reply"]`,
			`["second",1,"` + secret + `"]`, `["second",1]`, `["second",1,{}]`, `["second"]`,
		} {
			c.Send("421" + event)
			c.Want(`431[{"error":{"message":"invalid payload"}}]`)
		}
		c.Send(`421["bind",{"text":"x","more":1},"surplus"]`, `422["second","of no interest",2]`)
		c.Want("431[]", `432["fits"]`)
	})
}

func TestOnErrorReplacesAnswerAndLog(t *testing.T) {
	var s story
	opts := &sio.Options{OnError: func(c *sio.Ctx, err error) {
		s.add("%s: %v", c.Event(), err)
		_ = c.Ack("sorry") // the client may not want it
	}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("fail", func(*sio.Ctx) error { return errors.New("cause") })
		srv.On("panic", func(*sio.Ctx) error { panic("cause") })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["fail"]`, `42["fail"]`, `422["panic"]`)
		c.Want(`431["sorry"]`, `432["sorry"]`)
		s.want(t, "fail: cause", "fail: cause", "panic: panic: cause")
	})
}

func TestPanicInOnErrorDoesNotEndTheProcess(t *testing.T) {
	l := new(logbook)
	opts := &sio.Options{Logger: slog.New(l), OnError: func(*sio.Ctx, error) { panic("cause") }}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("fail", func(*sio.Ctx) error { return errors.New("cause") })
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["fail"]`)
		mustEcho(t, c)
		if above := l.above(); len(above) != 1 || !strings.HasPrefix(above[0], "ERROR") {
			t.Errorf("logged: %q", above)
		}
	})
}

// The client got no answer at all, and the socket of a refused one stayed.
func TestErrorDataThatCannotBeEncodedIsAnInternalError(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		fail := func(*sio.Ctx) error { return &sio.Error{Message: "no", Data: make(chan int)} }
		srv.On("event", fail)
		srv.Of("/closed").UseConnect(sio.Guard(fail))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431[{"error":{"message":"internal error"}}]`)
		for range 2 {
			c.Send(`40/closed,`)
			c.Want(`44/closed,{"message":"internal error"}`)
		}
		if above := l.above(); len(above) != 3 || !strings.Contains(above[0], "ERROR encoding Error.Data failed") {
			t.Errorf("logged: %q", above)
		}
	})
}

func TestReplyThatCannotBeEncodedIsAnInternalError(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("event", sio.Reply(func(*sio.Ctx, struct{}) (any, error) { return make(chan int), nil }))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431[{"error":{"message":"internal error"}}]`)
		failure{level: "ERROR"}.check(t, l, "handler failed")
	})
}

// What clients can bring about at will, by leaving, not answering, not asking
// or not reading, must not fill an operator's log when handlers pass it on.
func TestNothingThatAPeerCausesIsLoggedAboveDebug(t *testing.T) {
	for name, tt := range map[string]struct {
		handler sio.Handler
		client  func(c *siotest.Client)
	}{
		"leaves while its context is used": {
			func(c *sio.Ctx) error { <-c.Context().Done(); return fmt.Errorf("asking: %w", c.Context().Err()) },
			(*siotest.Client).Abort,
		},
		"leaves before it is sent to": {
			func(c *sio.Ctx) error { <-c.Context().Done(); return c.Emit("late") },
			(*siotest.Client).Abort,
		},
		"leaves while it is asked": {
			func(c *sio.Ctx) error { _, err := c.EmitWithAck(c.Context(), "question"); return err },
			(*siotest.Client).Abort,
		},
		"does not answer": {
			func(c *sio.Ctx) error {
				ctx, cancel := context.WithTimeout(c.Context(), time.Second)
				defer cancel()
				_, err := c.EmitWithAck(ctx, "question")
				return err
			},
			func(*siotest.Client) {},
		},
		"does not ask": {func(c *sio.Ctx) error { return c.Ack("answer") }, func(*siotest.Client) {}},
		"does not read": {
			func(c *sio.Ctx) error {
				for {
					if err := c.Emit("flood", strings.Repeat("x", 1000)); err != nil {
						return err
					}
				}
			},
			func(*siotest.Client) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := new(logbook)
			opts := &sio.Options{Logger: slog.New(l), MaxSendBuffer: 10_000}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.On("event", tt.handler)
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`42["event","` + secret + `"]`)
				synctest.Wait()
				tt.client(c)
				time.Sleep(2 * time.Second)
				l.one(t, "handler failed")
				l.mustBeQuiet(t)
			})
		})
	}
}
