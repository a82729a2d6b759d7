package sio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// newBenchServer returns a server that keeps events.
func newBenchServer(tb testing.TB) (*sio.Server, string) {
	tb.Helper()
	srv, d := loopback(tb, &sio.Options{
		Logger: slog.New(slog.DiscardHandler), ConnectionStateRecovery: &sio.Recovery{},
	})
	return srv, host(tb, d)
}

// BenchmarkEchoWithRecovery is BenchmarkEcho for events that are kept. The client reads
// whatever comes: offsets grow.
func BenchmarkEchoWithRecovery(b *testing.B) {
	const batch = 100
	srv, address := newBenchServer(b)
	srv.On("string", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("string", s) }))
	conn := join(b, address)
	out := bytes.Repeat(frame(`42["string","hello"]`), batch)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%batch == 0 {
			if _, err := conn.Write(out); err != nil {
				b.Fatal(err)
			}
			readFrames(b, conn, batch)
		}
	}
}

func readFrames(tb testing.TB, conn net.Conn, n int) {
	tb.Helper()
	buf := make([]byte, 125)
	for range n {
		if _, err := io.ReadFull(conn, buf[:2]); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf[:buf[1]]); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkEmitWithRecovery(b *testing.B) {
	srv, _ := newBenchServer(b)
	b.ReportAllocs()
	for b.Loop() {
		must(b, srv.To("nobody").Emit("news", "hello", 1))
	}
}

// BenchmarkRecover is a client that comes back and is sent what it missed.
func BenchmarkRecover(b *testing.B) {
	for _, missed := range []int{0, 100, 10_000} {
		b.Run(strconv.Itoa(missed), func(b *testing.B) {
			srv, d := loopback(b, &sio.Options{
				Logger: slog.New(slog.DiscardHandler), ConnectionStateRecovery: &sio.Recovery{},
			})
			v := new(visitor)
			c := d.WebSocket(b)
			c.Send("40")
			var reply struct{ SID, PID string }
			if err := json.Unmarshal([]byte(c.Next()[2:]), &reply); err != nil {
				b.Fatal(err)
			}
			offset := func(p string) string {
				var args []any
				if err := json.Unmarshal([]byte(p[2:]), &args); err != nil {
					b.Fatal(err)
				}
				return fmt.Sprint(args[len(args)-1])
			}
			must(b, srv.Emit("hi"))
			v.offset = offset(c.Next())
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				c.Abort()
				eventually(b, "the client to be gone", func() bool { return srv.ClientsCount() == 0 })
				for range missed {
					must(b, srv.Emit("news", "hello"))
				}
				b.StartTimer()
				c = d.WebSocket(b)
				c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, reply.PID, v.offset))
				last := ""
				for p := c.Next(); p[1] != '0'; p = c.Next() {
					last = p
				}
				if last != "" {
					v.offset = offset(last)
				}
			}
			c.Abort()
		})
	}
}
