package engine_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// A quickExchange costs as little as an exchange can.
type quickExchange struct {
	req    engine.Request
	status int
	body   []byte
	conn   net.Conn
}

func (x *quickExchange) Request() *engine.Request { return &x.req }
func (*quickExchange) Values() context.Context    { return context.Background() }

func (x *quickExchange) Respond(res engine.Response) error {
	x.status, x.body = res.Status, res.Body
	return nil
}

func (x *quickExchange) Upgrade(_ http.Header, open func(engine.Upgraded) func()) error {
	go open(engine.Upgraded{Conn: x.conn})()
	return nil
}

// An echo is a handler that sends every message back.
type echo struct{ s *engine.Session }

func (h echo) Message(binary bool, p []byte) { _ = h.s.SendMessage(binary, p) }
func (echo) Close(engine.Reason, error)      {}

func BenchmarkPollingEcho(b *testing.B) {
	var session *engine.Session
	e := engine.NewServer(engine.Options{}, func(s *engine.Session) engine.Handler {
		session = s
		return echo{s}
	})
	open := quickExchange{req: engine.Request{Method: http.MethodGet, Query: url.Values{
		"EIO": {"4"}, "transport": {"polling"},
	}}}
	e.Serve(b.Context(), &open)
	query := url.Values{"EIO": {"4"}, "transport": {"polling"}, "sid": {session.ID()}}
	payload := "4" + strings.Repeat("x", 100)
	b.ReportAllocs()
	for b.Loop() {
		post := quickExchange{req: engine.Request{
			Method: http.MethodPost, Query: query, Body: strings.NewReader(payload), ContentLength: int64(len(payload)),
		}}
		e.Serve(b.Context(), &post)
		get := quickExchange{req: engine.Request{Method: http.MethodGet, Query: query}}
		e.Serve(b.Context(), &get)
		if string(post.body) != "ok" || string(get.body) != payload {
			b.Fatalf("POST: %d %q, GET: %d %q", post.status, post.body, get.status, get.body)
		}
	}
}

func BenchmarkWebSocketEcho(b *testing.B) {
	for _, size := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			e := engine.NewServer(engine.Options{}, func(s *engine.Session) engine.Handler { return echo{s} })
			server, client := loopback(b)
			e.Serve(b.Context(), &quickExchange{conn: server, req: engine.Request{
				Method: http.MethodGet, Header: enginetest.Handshake(),
				Query: url.Values{"EIO": {"4"}, "transport": {"websocket"}},
			}})
			const open = 2 + 107 // the frame of the open packet
			mustRead(b, client, make([]byte, open))
			sent := enginetest.MaskedText("4" + strings.Repeat("x", size))
			got := make([]byte, len(sent)-4) // servers do not mask
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Write(sent); err != nil {
					b.Fatal(err)
				}
				mustRead(b, client, got)
			}
			_ = client.Close()
			if err := e.Shutdown(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func mustRead(b *testing.B, r io.Reader, p []byte) {
	b.Helper()
	if _, err := io.ReadFull(r, p); err != nil {
		b.Fatal(err)
	}
}

func loopback(b *testing.B) (server, client net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close() })
	return server, client
}
