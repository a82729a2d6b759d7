package engine_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func ways() map[string]func() {
	return map[string]func(){
		"panic":  func() { panic("broken") },
		"goexit": runtime.Goexit,
	}
}

// A badHandler fails in one of its methods.
type badHandler struct {
	engine.Handler

	method string
	fail   func()
	closed *atomic.Int32
}

func (h badHandler) breaks(method string) {
	if h.method == method {
		h.fail()
	}
}

func (h badHandler) Message(binary bool, p []byte) {
	h.breaks("Message")
	h.Handler.Message(binary, p)
}

func (h badHandler) Opened()     { h.breaks("Opened") }
func (h badHandler) Work(uint32) { h.breaks("Work") }

func (h badHandler) Quick() bool {
	h.breaks("Quick")
	return true
}

func (h badHandler) Close(engine.Reason, error) {
	h.closed.Add(1)
	h.breaks("Close")
}

type silent struct{}

func (silent) Message(bool, []byte)       {}
func (silent) Close(engine.Reason, error) {}

// TestHandlersThatFail: whichever method of a Handler fails, its session ends or goes
// on, is told of its end once, and Shutdown returns.
func TestHandlersThatFail(t *testing.T) {
	for _, method := range []string{"open", "Opened", "Message", "Work", "Close"} {
		for way, fail := range ways() {
			for _, transport := range []string{engine.Polling, engine.WebSocket} {
				t.Run(method+"/"+way+"/"+transport, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						k := enginetest.New(t, engine.Options{})
						var closed, opened atomic.Int32
						k.Server = engine.NewServer(engine.Options{Logger: slog.New(slog.DiscardHandler)}, func(*engine.Session) engine.Handler {
							if method == "open" {
								fail()
							}
							opened.Add(1)
							return badHandler{silent{}, method, fail, &closed}
						})
						playSession(t, k, transport, method == "open" || method == "Opened")
						synctest.Wait()
						ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
						defer cancel()
						if err := k.Shutdown(ctx); err != nil {
							t.Errorf("shutdown: %v", err)
						}
						synctest.Wait()
						same(t, "sessions", k.ClientsCount(), 0)
						same(t, "calls of Close", closed.Load(), opened.Load())
					})
				})
			}
		}
	}
}

// playSession opens a session, sends messages and goes. With early, it goes at once.
func playSession(t *testing.T, k *enginetest.Kit, transport string, early bool) {
	t.Helper()
	if transport == engine.WebSocket && early {
		server, client := net.Pipe()
		x := pipeExchange{k.Prepare(enginetest.Request{Query: websocket, Header: enginetest.Handshake()}), server}
		k.Go(func() { k.Serve(t.Context(), x) })
		_, _ = io.Copy(io.Discard, io.LimitReader(client, 100)) // to its end, or to the open packet
		_ = client.Close()
		return
	}
	if transport == engine.WebSocket {
		c := k.Dial(websocket)
		for range 3 {
			c.Text("4x")
			synctest.Wait()
		}
		_ = c.Close()
		return
	}
	answer := k.Do(enginetest.Request{Query: "EIO=4&transport=polling"})
	_, rest, found := strings.Cut(answer.Body, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	if !found {
		return
	}
	for range 3 {
		k.Do(enginetest.Request{Method: http.MethodPost, Query: "EIO=4&transport=polling&sid=" + sid, Body: strings.NewReader("4x")})
	}
}

// A pipeExchange gives a connection away whose client may get no answer.
type pipeExchange struct {
	*enginetest.Call

	conn net.Conn
}

func (x pipeExchange) Upgrade(_ http.Header, open func(engine.Upgraded) func()) error {
	go open(engine.Upgraded{Conn: x.conn})()
	return nil
}

// TestAWorkerThatExitsIsReadOn: the goroutine that reads is lost with the worker's, and
// another one reads on.
func TestAWorkerThatExitsIsReadOn(t *testing.T) {
	for _, waits := range []time.Duration{0, time.Second} { // in its turn, and after another goroutine took over
		inBubble(t, waits.String(), engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			var worked atomic.Int32
			k.Work = func(p *enginetest.Peer) {
				if int(worked.Load()) == len(p.Messages()) {
					return
				}
				worked.Add(1)
				time.Sleep(waits)
				enginetest.Echo(p, false, []byte("worked"))
				runtime.Goexit()
			}
			c, p := openWebSocket(t, k)
			for range 3 {
				c.Text("4x")
				wantFrames(t, c, "4worked")
			}
			synctest.Wait()
			wantMessages(t, p, "x", "x", "x")
			same(t, "open", p.Open(), true)
		})
	}
}

// A badExchange fails in one of its methods.
type badExchange struct {
	*enginetest.Call

	method string
	fail   func()
}

func (x badExchange) breaks(method string) {
	if x.method == method {
		x.fail()
	}
}

func (x badExchange) Request() *engine.Request { x.breaks("Request"); return x.Call.Request() }
func (x badExchange) Values() context.Context  { x.breaks("Values"); return x.Call.Values() }
func (x badExchange) HangUp()                  { x.breaks("HangUp"); x.Call.HangUp() }
func (x badExchange) CancelRead()              { x.breaks("CancelRead"); x.Call.CancelRead() }

func (x badExchange) Respond(res engine.Response) error {
	x.breaks("Respond")
	return x.Call.Respond(res)
}

func (x badExchange) Upgrade(header http.Header, open func(engine.Upgraded) func()) error {
	x.breaks("Upgrade")
	return x.Call.Upgrade(header, func(up engine.Upgraded) func() {
		if strings.HasPrefix(x.method, "conn.") {
			up.Conn = &badConn{up.Conn, x}
		}
		run := open(up)
		x.breaks("opened")
		return run
	})
}

// A badConn is a connection of the application's that fails in one of its methods.
type badConn struct {
	net.Conn

	x badExchange
}

func (c *badConn) Read(p []byte) (int, error)  { c.x.breaks("conn.Read"); return c.Conn.Read(p) }
func (c *badConn) Write(p []byte) (int, error) { c.x.breaks("conn.Write"); return c.Conn.Write(p) }
func (c *badConn) SetDeadline(at time.Time) error {
	c.x.breaks("conn.SetDeadline")
	return c.Conn.SetDeadline(at)
}

func (c *badConn) Close() error {
	_ = c.Conn.Close() // or the test would have to
	c.x.breaks("conn.Close")
	return nil
}

// TestExchangesThatFail: a request that cannot be served to its end leaves neither a
// session nor a connection behind, and does not end the process.
func TestExchangesThatFail(t *testing.T) {
	for _, method := range []string{
		"Request", "Values", "Respond", "Upgrade", "HangUp", "conn.Read", "conn.Write", "conn.SetDeadline", "conn.Close",
	} {
		for way, fail := range ways() {
			for _, query := range []string{"EIO=4&transport=polling", websocket} {
				t.Run(method+"/"+way+"/"+query, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						k := enginetest.New(t, engine.Options{})
						good := k.Server
						k.Server = engine.NewServer(engine.Options{Logger: slog.New(slog.DiscardHandler)},
							func(*engine.Session) engine.Handler { return silent{} })
						bad := k.Server
						var served sync.WaitGroup
						req := enginetest.Request{Query: query}
						if query == websocket {
							req.Header = enginetest.Handshake()
						}
						k.Server = good
						call := k.Prepare(req)
						served.Go(func() { bad.Serve(t.Context(), badExchange{call, method, fail}) })
						served.Wait()
						synctest.Wait()
						call.Abort()
						ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
						defer cancel()
						_ = bad.Shutdown(ctx)
						synctest.Wait()
						same(t, "sessions", bad.ClientsCount(), 0)
						if ctx.Err() != nil {
							t.Error("Shutdown did not end")
						}
					})
				})
			}
		}
	}
}
