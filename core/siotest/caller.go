package siotest

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/packet"
)

// connectEvent is what [sio.Ctx.Event] says while a client connects.
const connectEvent = "connect"

// A Caller is the client whose packet a [sio.Ctx] of [NewCtx] carries.
type Caller struct {
	*Peer

	// Ack is the acknowledgement of the event, for which the client waits. It
	// is nil while the client connects, which is answered otherwise.
	Ack *Ack

	// Server is what the client is connected to: with [Connect], other clients
	// can come, too.
	Server *sio.Server
}

// NewCtx returns a Ctx to call a handler with, and its client, to see what the
// handler does:
//
//	c, client := siotest.NewCtx(t, "post", Post{Text: "hello"})
//	if err := post(c); err != nil {
//		t.Fatal(err)
//	}
//	client.Expect("posted", &got)
//
// Both belong to a server in memory, which is shut down when the test ends. So the Ctx
// can join rooms, have values by [sio.Key], and ask the client. An error that the handler returns does not become an ack.
//
// For the event "connect", c is that of middleware of [sio.Namespace.UseConnect],
// with the auth payload as its argument. Its client is not connected, and will
// not be.
func NewCtx(tb testing.TB, event string, args ...any) (*sio.Ctx, *Caller) {
	tb.Helper()
	if packet.Reserved(event) && event != connectEvent {
		tb.Fatalf("siotest: clients cannot send %q, whose name is reserved", event)
	}
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	d := Pipes(tb, srv)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), d.waitLimit())
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			tb.Errorf("siotest: shutdown: %v", err)
		}
	})
	if event == connectEvent {
		return connecting(tb, srv, d, args)
	}
	got := make(chan *sio.Ctx, 1)
	var taken atomic.Bool
	srv.OnUnknown(func(c *sio.Ctx) error {
		if !taken.Swap(true) { // only the first event is for the test
			got <- c
		}
		return nil
	})
	p := d.Connect(tb, "/", nil)
	client := &Caller{Peer: p, Ack: p.Ask(event, args...), Server: srv}
	return p.awaitCtx(got), client
}

// connecting is NewCtx for a client that connects. The connect chain is held up
// until the test ends.
func connecting(tb testing.TB, srv *sio.Server, d Dialer, args []any) (*sio.Ctx, *Caller) {
	tb.Helper()
	var auth any
	switch len(args) {
	case 0:
	case 1:
		auth = args[0]
	default:
		tb.Fatalf("siotest: connect has %d arguments, want an auth payload or none", len(args))
	}
	got, over := make(chan *sio.Ctx, 1), make(chan struct{})
	tb.Cleanup(func() { close(over) })
	var taken atomic.Bool
	srv.UseConnect(func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			if !taken.Swap(true) { // others may come and go
				got <- c
				<-over
			}
			return next(c)
		}
	})
	p := d.startConnect(tb, "/", auth)
	c := p.awaitCtx(got)
	p.id = c.ID()
	return c, &Caller{Peer: p, Server: srv}
}

func (p *Peer) awaitCtx(got <-chan *sio.Ctx) (c *sio.Ctx) {
	p.tb.Helper()
	select {
	case c = <-got:
	case <-p.inbox.done:
		p.tb.Fatalf("siotest: the server does not take what the client sends: it may be too much")
	}
	return c
}
