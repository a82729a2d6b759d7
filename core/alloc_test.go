//go:build !race

package sio_test

import (
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// An echo, from the bytes that come to the bytes that go. Of a short string: the
// Ctx with the packet's text, the string that the handler gets, and the string's
// place in Emit's list of anything. The string of a larger packet shares its
// memory. An ack needs no more than the Ctx. Binary data has a packet that waits
// for it, and lists of what is attached.
func TestAllocationsOfAnEcho(t *testing.T) {
	srv, address := benchServer(t)
	srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
	srv.On("ack", sio.Reply(func(*sio.Ctx, struct{}) (bool, error) { return true, nil }))
	srv.On("binary", sio.Bind(func(c *sio.Ctx, p []byte) error { return c.Emit("binary", p) }))
	conn := join(t, address)
	large := `42["echo","` + strings.Repeat("x", 100) + `"]`
	binary, data := `451-["binary",{"_placeholder":true,"num":0}]`, strings.Repeat("x", 100)
	for _, tt := range []struct {
		out  []byte
		in   string
		most float64
	}{
		{frame(`42["echo","hello"]`), "\x81\x12" + `42["echo","hello"]`, 3},
		{frame(large), "\x81" + string(rune(len(large))) + large, 3},
		{frame(`421["ack"]`), "\x81\x09431[true]", 1},
		{append(frame(binary), binaryFrame(data)...), "\x81\x2c" + binary + "\x82\x64" + data, 5},
	} {
		in := make([]byte, len(tt.in))
		allocs := testing.AllocsPerRun(1000, func() { exchange(t, conn, tt.out, in) })
		if got := string(in); got != tt.in {
			t.Errorf("got %q, want %q", got, tt.in)
		}
		if allocs > tt.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", tt.in, allocs, tt.most)
		}
	}
}

// A broadcast is encoded once, and handing it to a receiver allocates nothing.
func TestSIO_BC_7_AllocationsOfABroadcastDoNotGrowWithReceivers(t *testing.T) {
	const text = 2 + len(`42["news","hello",1]`)
	const binary = 2 + len(`451-["news",{"_placeholder":true,"num":0}]`) + 2 + len("hello")
	for _, tt := range []struct {
		name string
		size int // of what a receiver gets, in bytes
		emit func(srv *sio.Server) error
	}{
		{"to all", text, func(srv *sio.Server) error { return srv.Emit("news", "hello", 1) }},
		{"to a room", text, func(srv *sio.Server) error { return srv.To("a").Emit("news", "hello", 1) }},
		{"to two rooms but another", text, func(srv *sio.Server) error { return srv.To("a", "b").Except("c").Emit("news", "hello", 1) }},
		{"binary", binary, func(srv *sio.Server) error { return srv.Emit("news", []byte("hello")) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			allocs := func(n int) float64 {
				srv, address := benchServer(t)
				joined := make(chan error, n)
				srv.OnConnect(func(c *sio.Ctx) error { joined <- c.Join("a", "b"); return nil })
				a := newAudience(t, address, n)
				for range n {
					must(t, await(t, "a client in its rooms", joined))
				}
				return testing.AllocsPerRun(100, func() { a.hear(t, n*tt.size, func() error { return tt.emit(srv) }) })
			}
			one, many := allocs(1), allocs(300)
			t.Logf("%.0f allocations for one receiver, %.0f for 300", one, many)
			if many > one+20 {
				t.Errorf("%.0f allocations for one receiver, %.0f for 300", one, many)
			}
		})
	}
}

// What an idle client costs: its session, socket and connection, 2 KiB of stack for
// the goroutine that waits for it unless it is parked, and the client's end of the
// connection, which is in this process, too. Handling its CONNECT took more stack.
//
// Each is measured in a process of its own: the runtime keeps what describes goroutines
// that have ended, so clients cost less after others have gone.
func TestAllocationsOfAnIdleClient(t *testing.T) {
	const alone = "SIOPLUG_TEST_ALONE"
	for _, tt := range []struct {
		name string
		park bool
		most int64
	}{
		{"default", false, 5_300},
		{"parked", true, 2_650},
	} {
		t.Run(tt.name, func(t *testing.T) {
			switch {
			case tt.park && runtime.GOOS != "linux":
				t.Skip("clients are parked on Linux only")
			case os.Getenv(alone) == "":
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestAllocationsOfAnIdleClient$/^"+tt.name+"$")
				cmd.Env = append(os.Environ(), alone+"=1")
				out, err := cmd.CombinedOutput()
				if t.Logf("%s", out); err != nil {
					t.Error(err)
				}
			default:
				srv, d := loopback(t, &sio.Options{Logger: slog.New(slog.DiscardHandler), ParkIdle: tt.park})
				srv.OnConnect(func(*sio.Ctx) error { return nil })
				allocationsOfAnIdleClient(t, host(t, d), tt.most)
			}
		})
	}
}

func allocationsOfAnIdleClient(t *testing.T, address string, most int64) {
	t.Helper()
	conns := make([]*net.TCPConn, 1, 1_000)
	t.Cleanup(func() {
		for _, conn := range conns {
			quit(t, conn)
		}
	})
	conns[0] = dial(t, address) // whatever is made once
	before := steadyMemory(t)
	for len(conns) < cap(conns) {
		conns = append(conns, dial(t, address))
	}
	if each := (steadyMemory(t) - before) / int64(len(conns)-1); each > most {
		t.Errorf("%d bytes, want at most %d", each, most)
	} else {
		t.Logf("%d bytes", each)
	}
}

// steadyMemory returns the bytes of heap and stacks that are used, once that
// does not change any more.
func steadyMemory(tb testing.TB) int64 {
	tb.Helper()
	var used, goroutines int64
	same := 0
	eventually(tb, "memory is steady", func() bool {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools gave up
		runtime.ReadMemStats(&m)
		usedBefore, goroutinesBefore := used, goroutines
		used, goroutines = int64(m.HeapAlloc+m.StackInuse), int64(runtime.NumGoroutine())
		if goroutines != goroutinesBefore || max(used-usedBefore, usedBefore-used) > 4<<10 {
			same = 0
			return false
		}
		same++
		return same == 10
	})
	return used
}
