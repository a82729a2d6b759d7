package sioclient_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
)

// serveEnv tells a process of this test to be the server of a benchmark, whose memory must
// not count for the clients.
const serveEnv = "SIOCLIENT_BENCH_SERVER"

// serveBenchmark is that server.
func serveBenchmark() {
	hs := httptest.NewServer(newServer(nil))
	defer hs.Close()
	_, _ = os.Stdout.WriteString(hs.URL + "\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the benchmark ends
	hs.CloseClientConnections()
}

// benchServer starts a server in a process of its own.
func benchServer(b *testing.B) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	buf := make([]byte, 100)
	n, err := out.Read(buf)
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(buf[:n]))
}

// BenchmarkIdleClients tells the memory and the goroutines of a client that is connected
// and idle, with 1,000 of them in this process and the server in another one.
func BenchmarkIdleClients(b *testing.B) {
	const count = 1000
	for name, o := range ways() {
		b.Run(name, func(b *testing.B) {
			o.Logger = quiet()
			url := benchServer(b)
			for b.Loop() {
				before, routines := memory(), runtime.NumGoroutine()
				sockets := make([]*sioclient.Socket, count)
				for i := range sockets {
					s, err := sioclient.Dial(b.Context(), url, &o)
					if err != nil {
						b.Fatal(err)
					}
					sockets[i] = s
				}
				for _, s := range sockets {
					for s.Manager().Transport() != o.Transports[len(o.Transports)-1] {
						if _, err := sioclient.EmitWithAck[int](b.Context(), s, "echo", 1); err != nil {
							b.Fatal(err)
						}
					}
				}
				after := memory()
				b.ReportMetric(float64(after-before)/count, "B/client")
				b.ReportMetric(float64(runtime.NumGoroutine()-routines)/count, "goroutines/client")
				for _, s := range sockets {
					if err := s.Manager().Shutdown(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// memory returns the bytes of the heap and of all stacks.
func memory() uint64 {
	for range 5 { // stacks shrink, and pools give their content up
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

func benchSocket(b *testing.B) *sioclient.Socket {
	b.Helper()
	s, err := sioclient.Dial(b.Context(), benchServer(b), &sioclient.Options{Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Disconnect)
	return s
}

// BenchmarkEmitWithAck is one round trip after the other.
func BenchmarkEmitWithAck(b *testing.B) {
	s := benchSocket(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sioclient.EmitWithAck[string](b.Context(), s, "echo", "0123456789"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEmit sends as much as the connection takes.
func BenchmarkEmit(b *testing.B) {
	s := benchSocket(b)
	b.ReportAllocs()
	for b.Loop() {
		for s.Emit("unknown", "0123456789") != nil {
			if err := s.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
