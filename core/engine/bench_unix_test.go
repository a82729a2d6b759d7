//go:build unix

package engine_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// BenchmarkSend sends one frame to all sessions and waits until all have been
// written. The servers' ends are real sockets, as system calls are most of the
// cost; but all of them lead to the same client, because ten thousand of those
// would need more descriptors than most systems give.
func BenchmarkSend(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			var sessions []*engine.Session
			e := engine.NewServer(engine.Options{}, func(s *engine.Session) engine.Handler {
				sessions = append(sessions, s)
				return echo{s}
			})
			server, client := socketPair(b)
			read, done := make(chan int64), make(chan error)
			go func() {
				for n := range read {
					_, err := io.CopyN(io.Discard, client, n)
					done <- err
				}
			}()
			await := func(size int) {
				read <- int64(n * size)
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			for range n {
				conn, err := net.FileConn(server) // a descriptor of its own
				if err != nil {
					b.Skipf("%v: too few descriptors for %d sessions?", err, n)
				}
				e.Serve(b.Context(), &quickExchange{conn: conn, req: engine.Request{
					Method: http.MethodGet, Header: enginetest.Handshake(),
					Query: url.Values{"EIO": {"4"}, "transport": {"websocket"}},
				}})
			}
			await(2 + 107) // the open packet
			f := message(strings.Repeat("x", 100))
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range sessions {
					if err := s.Send(f); err != nil {
						b.Fatal(err)
					}
				}
				await(f.Len())
			}
			close(read)
			_ = client.Close()
			if err := e.Shutdown(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func socketPair(b *testing.B) (server *os.File, client net.Conn) {
	b.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	server = os.NewFile(uintptr(fds[0]), "server")
	b.Cleanup(func() { _ = server.Close() })
	f := os.NewFile(uintptr(fds[1]), "client")
	defer f.Close()
	if client, err = net.FileConn(f); err != nil {
		b.Fatal(err)
	}
	return server, client
}
