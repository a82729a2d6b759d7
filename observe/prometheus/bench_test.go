package sioprometheus_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	sioprometheus "github.com/sioplug/sioplug/observe/prometheus"
)

// BenchmarkPaired compares a server with metrics and one without, in this process. It
// alternates between them, so that the machine's load concerns both alike. The ratio is the
// median of the pairs.
func BenchmarkPaired(b *testing.B) {
	b.Run("echo", func(b *testing.B) {
		paired(b, func(b *testing.B, srv *sio.Server, address string) func() {
			b.Helper()
			srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
			c := open(b, address)
			return func() {
				for range 500 {
					c.send(b, `42["echo","hello"]`)
					c.read(b, len(`42["echo","hello"]`))
				}
			}
		})
	})
	b.Run("broadcast to 1000", func(b *testing.B) {
		paired(b, func(b *testing.B, srv *sio.Server, address string) func() {
			b.Helper()
			clients := make([]*rawClient, 1000)
			for i := range clients {
				clients[i] = open(b, address)
			}
			return func() {
				for range 5 {
					if err := srv.Emit("news", "hello"); err != nil {
						b.Fatal(err)
					}
					var all sync.WaitGroup
					for part := range slices.Chunk(clients, 250) {
						all.Go(func() {
							for _, c := range part {
								c.read(b, len(`42["news","hello"]`))
							}
						})
					}
					all.Wait()
				}
			}
		})
	})
}

// BenchmarkStats is a scrape of a server with 1,000 clients.
func BenchmarkStats(b *testing.B) {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	hs := httptest.NewServer(srv)
	b.Cleanup(hs.Close)
	for range 1000 {
		open(b, strings.TrimPrefix(hs.URL, "http://"))
	}
	for b.Loop() {
		srv.Stats()
	}
}

// paired prepares both servers, and measures one round of each in turn.
func paired(b *testing.B, prepare func(b *testing.B, srv *sio.Server, address string) func()) {
	b.Helper()
	round := func(observers ...*sio.Observer) func() {
		srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler), Observers: observers})
		hs := httptest.NewServer(srv)
		b.Cleanup(func() {
			_ = srv.Shutdown(b.Context())
			hs.Close()
		})
		return prepare(b, srv, strings.TrimPrefix(hs.URL, "http://"))
	}
	rounds := [2]func(){round(), round(sioprometheus.New(nil).Observer())}
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		var took [2]time.Duration
		for j := range rounds {
			which := (i + j) % len(rounds) // none of them is always the first
			start := time.Now()
			rounds[which]()
			took[which] = time.Since(start)
		}
		ratios = append(ratios, float64(took[1])/float64(took[0]))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "with/without")
}

// A rawClient is a WebSocket without masks that matter: all keys are zero.
type rawClient struct {
	net.Conn

	in  *bufio.Reader
	buf []byte
}

func open(b *testing.B, address string) *rawClient {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	c := &rawClient{conn, bufio.NewReaderSize(conn, 512), make([]byte, 512)}
	_, err = fmt.Fprintf(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	for line := ""; err == nil && line != "\r\n"; {
		line, err = c.in.ReadString('\n')
	}
	if err != nil {
		b.Fatal(err)
	}
	c.frame(b) // the open packet
	c.send(b, "40")
	c.frame(b)
	return c
}

func (c *rawClient) send(b *testing.B, packet string) {
	b.Helper()
	c.buf = append(append(c.buf[:0], 0x81, 0x80|byte(len(packet)), 0, 0, 0, 0), packet...)
	if _, err := c.Write(c.buf); err != nil {
		b.Error(err)
	}
}

// frame reads one small frame.
func (c *rawClient) frame(b *testing.B) string {
	b.Helper()
	head, err := c.in.Peek(2)
	if err != nil {
		b.Error(err)
		return ""
	}
	size, skip := int(head[1]), 2
	if size == 126 {
		if head, err = c.in.Peek(4); err != nil {
			b.Error(err)
			return ""
		}
		size, skip = int(head[2])<<8|int(head[3]), 4
	}
	p := make([]byte, skip+size)
	for n := 0; n < len(p); {
		m, err := c.in.Read(p[n:])
		if err != nil {
			b.Error(err)
			return ""
		}
		n += m
	}
	return string(p[skip:])
}

// read reads a frame of that size.
func (c *rawClient) read(b *testing.B, size int) {
	b.Helper()
	for n := 2 + size; n > 0; {
		m, err := c.in.Read(c.buf[:min(n, cap(c.buf))])
		if err != nil {
			b.Error(err)
			return
		}
		n -= m
	}
}
