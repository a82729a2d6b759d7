package sioadmin_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
)

// BenchmarkPaired compares an instrumented server and one that is not, in this process. It
// alternates between them, so that the machine's load concerns both alike. The ratio is the
// median of the pairs.
func BenchmarkPaired(b *testing.B) {
	for _, mode := range []sioadmin.Mode{sioadmin.Production, sioadmin.Development} {
		b.Run(mode.String(), func(b *testing.B) {
			opts := options(mode)
			rounds := [2]func(){echoes(b, nil), echoes(b, &opts)}
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
		})
	}
}

// echoes starts a server, and returns a function that has it echo 500 events.
func echoes(b *testing.B, opts *sioadmin.Options) func() {
	b.Helper()
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
	if opts != nil {
		if _, err := sioadmin.Instrument(srv, *opts); err != nil {
			b.Fatal(err)
		}
	}
	hs := httptest.NewServer(srv)
	b.Cleanup(func() {
		_ = srv.Shutdown(b.Context())
		hs.Close()
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(hs.URL, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	in := bufio.NewReader(conn)
	_, _ = fmt.Fprintf(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n") // reading fails then
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			b.Fatal(err)
		}
	}
	const event = `42["echo","hello"]`
	frame := func(packet string) []byte {
		return append([]byte{0x81, 0x80 | byte(len(packet)), 0, 0, 0, 0}, packet...)
	}
	write := func(p []byte) {
		if _, err := conn.Write(p); err != nil {
			b.Error(err)
		}
	}
	write(frame("40"))
	for found := false; !found; { // behind the answer to CONNECT
		p, err := in.ReadString('}')
		if err != nil {
			b.Fatal(err)
		}
		found = strings.Contains(p, `40{"sid":`)
	}
	sent, got := frame(event), make([]byte, 2+len(event))
	return func() {
		for range 500 {
			write(sent)
			if _, err := io.ReadFull(in, got); err != nil {
				b.Error(err)
				return
			}
		}
	}
}
