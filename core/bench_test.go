package sio_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"

	sio "github.com/sioplug/sioplug/core"
)

func benchServer(tb testing.TB) (*sio.Server, string) {
	tb.Helper()
	srv, d := loopback(tb, &sio.Options{Logger: slog.New(slog.DiscardHandler)})
	return srv, host(tb, d)
}

func frame(packet string) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(packet))))
}

func binaryFrame(data string) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame([]byte(data))))
}

// join opens a connection that ends with the test.
func join(tb testing.TB, address string) *net.TCPConn {
	tb.Helper()
	conn := dial(tb, address)
	tb.Cleanup(func() { quit(tb, conn) })
	return conn
}

// dial opens a connection.
func dial(tb testing.TB, address string) *net.TCPConn {
	tb.Helper()
	conn, err := visit(address, true)
	if err != nil {
		tb.Fatal(err)
	}
	return conn
}

// exchange sends a frame and reads as many bytes.
func exchange(tb testing.TB, conn net.Conn, out, in []byte) {
	tb.Helper()
	if _, err := conn.Write(out); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.ReadFull(conn, in); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkDispatch is an event on its way through three middlewares to its
// handler. The client sends many before it waits.
func BenchmarkDispatch(b *testing.B) {
	srv, address := benchServer(b)
	pass := func(next sio.Handler) sio.Handler { return func(c *sio.Ctx) error { return next(c) } }
	const batch = 100
	handled := 0
	srv.UseEvents(pass, pass)
	srv.On("event", sio.Bind(func(c *sio.Ctx, _ string) error {
		if handled++; handled%batch == 0 {
			return c.Emit("done")
		}
		return nil
	}), pass)
	conn := join(b, address)
	one := frame(`42["event","hello"]`)
	var out []byte
	for range batch {
		out = append(out, one...)
	}
	in := make([]byte, 2+len(`42["done"]`))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%batch == 0 {
			exchange(b, conn, out, in)
		}
	}
}

// BenchmarkEcho is an event and one like it in answer. The client sends many
// before it waits, so that system calls do not count.
func BenchmarkEcho(b *testing.B) {
	const batch = 100
	type order struct {
		ID    string   `json:"id"`
		Items []string `json:"items"`
		Total float64  `json:"total"`
	}
	for _, tt := range []struct {
		name, text string
		attachment []byte
	}{
		{"short", `42["string","hello"]`, nil},
		{"string", `42["string","` + strings.Repeat("x", 100) + `"]`, nil},
		{"binary", `451-["binary",{"_placeholder":true,"num":0}]`, binaryFrame(strings.Repeat("x", 1024))},
		{"struct", `42["struct",{"id":"7","items":["a","b","c"],"total":12.5}]`, nil},
	} {
		b.Run(tt.name, func(b *testing.B) {
			srv, address := benchServer(b)
			srv.On("string", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("string", s) }))
			srv.On("binary", sio.Bind(func(c *sio.Ctx, p []byte) error { return c.Emit("binary", p) }))
			srv.On("struct", sio.Bind(func(c *sio.Ctx, o order) error { return c.Emit("struct", o) }))
			conn := join(b, address)
			out := bytes.Repeat(append(frame(tt.text), tt.attachment...), batch)
			frames := 1
			if tt.attachment != nil {
				frames = 2
			}
			in := make([]byte, len(out)-4*frames*batch) // without masks
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%batch == 0 {
					exchange(b, conn, out, in)
				}
			}
		})
	}
}

func BenchmarkAckRoundTrip(b *testing.B) {
	srv, address := benchServer(b)
	srv.On("event", sio.Reply(func(_ *sio.Ctx, n int) (int, error) { return n, nil }))
	conn := join(b, address)
	out, in := frame(`421["event",7]`), make([]byte, 2+len(`431[7]`))
	b.ReportAllocs()
	for b.Loop() {
		exchange(b, conn, out, in)
	}
}

// An audience reads and counts what it is sent.
type audience struct {
	missing atomic.Int64 // bytes
	all     chan struct{}
}

func newAudience(tb testing.TB, address string, n int) *audience {
	tb.Helper()
	a := &audience{all: make(chan struct{}, 1)}
	for range n {
		conn := join(tb, address)
		go func() { // ends with the connection
			buf := make([]byte, 256)
			for {
				k, err := conn.Read(buf)
				if err != nil {
					return
				}
				if a.missing.Add(-int64(k)) == 0 {
					a.all <- struct{}{}
				}
			}
		}()
	}
	return a
}

// hear waits until everyone has what emit sends, so many bytes altogether.
func (a *audience) hear(tb testing.TB, bytes int, emit func() error) {
	tb.Helper()
	a.missing.Add(int64(bytes))
	must(tb, emit())
	<-a.all
}

// theNews emits what is as long as it says.
func theNews(srv *sio.Server) (emit func() error, size int) {
	return func() error { return srv.Emit("news", "hello", 1) }, 2 + len(`42["news","hello",1]`)
}

func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 100, 9_000} { // each needs two of the 20,000 file descriptors that there usually are
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			srv, address := benchServer(b)
			a := newAudience(b, address, n)
			emit, size := theNews(srv)
			b.ReportAllocs()
			for b.Loop() {
				a.hear(b, n*size, emit)
			}
		})
	}
}

func BenchmarkConnectDisconnect(b *testing.B) {
	_, address := benchServer(b)
	b.ReportAllocs()
	for b.Loop() {
		conn, err := visit(address, true)
		if err != nil {
			b.Fatal(err)
		}
		quit(b, conn)
	}
}
