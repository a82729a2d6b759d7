package sio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A ledger keeps what EmissionStarted was told.
type ledger struct {
	mu    sync.Mutex
	lines []string
}

type contextName struct{}

func (l *ledger) onEmission(ctx context.Context, e sio.EmissionInfo) func(error) {
	if e.Event == "unobserved" {
		return nil
	}
	from, _ := ctx.Value(contextName{}).(string)
	line := fmt.Sprintf("%d %s %s from %q", e.Kind, e.Namespace.Name(), e.Event, from)
	if e.Rooms > 0 {
		line += fmt.Sprintf(" to %d rooms", e.Rooms)
	}
	if e.Socket != nil {
		line += " of a client"
	}
	return func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, fmt.Sprintf("%s: %t", line, err == nil))
	}
}

func (l *ledger) want(t *testing.T, lines ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.lines, lines) {
		t.Errorf("got  %q\nwant %q", l.lines, lines)
	}
	l.lines = nil
}

func named(name string) sio.Middleware {
	return func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			return next(c.WithContext(context.WithValue(c.Context(), contextName{}, name)))
		}
	}
}

func TestEmissionStarted(t *testing.T) {
	t.Parallel()
	var l ledger
	srv := newServer(t, &sio.Options{Observers: []*sio.Observer{{EmissionStarted: l.onEmission}}})
	srv.UseEvents(named("handler"))
	srv.On("sets", func(c *sio.Ctx) error {
		srv.To("room").WithContext(c.Context()).Emit("d") //nolint:errcheck // nobody is there
		return errors.Join(c.To("room").Emit("a"), c.Except("room").Emit("b"), c.Broadcast().Emit("c"), c.Self().Emit("self"),
			c.Ack(srv.To("room").Emit("e") == nil, c.Emit("one") == nil))
	})
	srv.On("acks", func(c *sio.Ctx) error {
		v, err := sio.EmitWithAck[int](c.Context(), c.Socket, "sum")
		if err != nil {
			return err
		}
		for a := range sio.BroadcastWithAck[int](c.Context(), srv.Broadcast(), "sums") {
			v += a.Value
			break
		}
		return c.Ack(v)
	})
	p := siotest.Connect(t, srv, "/", nil)
	p.Ask("sets").Bind()
	p.Expect("self")
	p.Expect("one")
	l.want(t, `0 / d from "handler" to 1 rooms of a client: true`, `0 / a from "handler" to 1 rooms of a client: true`, `0 / b from "handler" of a client: true`, `0 / c from "handler" of a client: true`,
		`0 / self from "handler" to 1 rooms of a client: true`, `0 / e from "" to 1 rooms: true`)
	p.AutoAck("sum", 1)
	p.AutoAck("sums", 2)
	var sum int
	if p.Ask("acks").Bind(&sum); sum != 3 {
		t.Error(sum)
	}
	l.want(t, `1 / sum from "handler" of a client: true`, `2 / sums from "handler" of a client: true`)
}

// The end of an emission gets its error. A function that returns none is fine.
func TestEmissionStartedErrors(t *testing.T) {
	t.Parallel()
	var l ledger
	srv := newServer(t, &sio.Options{Observers: []*sio.Observer{{EmissionStarted: l.onEmission}}})
	parent := srv.OfFunc(func(string, *sio.Handshake) bool { return true })
	if srv.Emit("connect") == nil || parent.Emit("bad", func() {}) == nil || srv.Emit("unobserved") != nil {
		t.Error("a wrong error")
	}
	l.want(t, `0 / connect from "": false`, `0 /_0 bad from "": false`)
	got := make(chan *sio.Ctx, 1)
	srv.OnConnect(func(c *sio.Ctx) error { got <- c; return nil })
	p := siotest.Connect(t, srv, "/", nil)
	s := (<-got).Socket
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextName{}, "caller"))
	answer, err := s.Ask("unanswered")
	if err != nil {
		t.Fatal(err)
	}
	l.want(t)
	cancel()
	if _, err := answer.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	l.want(t, `1 / unanswered from "caller" of a client: false`)
	for a := range sio.BroadcastWithAck[int](ctx, srv.Broadcast(), "unanswered") {
		if !errors.Is(a.Err, context.Canceled) {
			t.Error(a.Err)
		}
	}
	l.want(t, `2 / unanswered from "caller": false`)
	p.Expect("unanswered")
	p.Expect("unanswered")
}

// What a function of EmissionStarted does is logged, and changes nothing else.
func TestEmissionStartedPanics(t *testing.T) {
	t.Parallel()
	var l ledger
	book := new(logbook)
	broken := sio.Observer{EmissionStarted: func(_ context.Context, e sio.EmissionInfo) func(error) {
		if e.Event == "begin" {
			panic("begin")
		}
		return func(error) { panic("end") }
	}}
	srv := newServer(t, &sio.Options{Logger: slog.New(book), Observers: []*sio.Observer{&broken, {EmissionStarted: l.onEmission}}})
	if err := errors.Join(srv.Emit("begin"), srv.To("a", "b").Emit("end")); err != nil {
		t.Error(err)
	}
	l.want(t, `0 / begin from "": true`, `0 / end from "" to 2 rooms: true`)
	if n := len(book.above()); n != 2 {
		t.Errorf("logged %d times: %q", n, book.above())
	}
}

// A vanishing value ends the goroutine of whoever encodes it.
type vanishing struct{}

func (vanishing) MarshalJSON() ([]byte, error) {
	runtime.Goexit()
	return nil, nil
}

// An emission that never returns has an end nevertheless: otherwise its span would be kept for ever.
func TestEmissionsThatExitHaveAnEnd(t *testing.T) {
	t.Parallel()
	var l ledger
	srv := newServer(t, &sio.Options{Observers: []*sio.Observer{{EmissionStarted: l.onEmission}}})
	got := make(chan *sio.Ctx, 1)
	srv.OnConnect(func(c *sio.Ctx) error { got <- c; return nil })
	siotest.Connect(t, srv, "/", nil)
	s := (<-got).Socket
	for _, emit := range []func(){
		func() { _ = srv.Emit("a", vanishing{}) },
		func() { _, _ = s.EmitWithAck(t.Context(), "b", vanishing{}) },
	} {
		var calls sync.WaitGroup
		calls.Go(emit)
		calls.Wait()
	}
	l.want(t, `0 / a from "": false`, `1 / b from "" of a client: false`)
}
