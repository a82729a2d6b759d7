//go:build !race

package sio_test

import (
	"runtime"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// An echo of a short string, from the bytes that come to the bytes that go: the
// Ctx with the packet's text, the string that the handler gets, and the string's
// place in Emit's list of anything. An ack needs no more than the first.
func TestAllocationsOfAnEcho(t *testing.T) {
	srv, address := benchServer(t)
	srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
	srv.On("ack", sio.Reply(func(*sio.Ctx, struct{}) (bool, error) { return true, nil }))
	conn := join(t, address)
	for _, tt := range []struct {
		out, in string
		most    float64
	}{
		{`42["echo","hello"]`, `42["echo","hello"]`, 3},
		{`421["ack"]`, `431[true]`, 1},
	} {
		out, in := frame(tt.out), make([]byte, 2+len(tt.in))
		allocs := testing.AllocsPerRun(1000, func() { exchange(t, conn, out, in) })
		if got := string(in[2:]); got != tt.in {
			t.Errorf("got %s", got)
		}
		if allocs > tt.most {
			t.Errorf("%s: %.0f allocations, want at most %.0f", tt.out, allocs, tt.most)
		}
	}
}

// A broadcast is encoded once, and handing it to a receiver allocates nothing.
func TestSIO_BC_7_AllocationsOfABroadcastDoNotGrowWithReceivers(t *testing.T) {
	allocs := func(n int) float64 {
		srv, address := benchServer(t)
		a := newAudience(t, address, n)
		emit, size := theNews(srv)
		return testing.AllocsPerRun(100, func() { a.hear(t, n*size, emit) })
	}
	one, many := allocs(1), allocs(300)
	t.Logf("%.0f allocations for one receiver, %.0f for 300", one, many)
	if many > one+20 {
		t.Errorf("%.0f allocations for one receiver, %.0f for 300", one, many)
	}
}

// What an idle client costs: its session, socket and connection, 2 KiB of stack for
// the goroutine that waits for it, and the client's end of the connection, which
// is in this process, too. Handling its CONNECT took more stack.
func TestAllocationsOfAnIdleClient(t *testing.T) {
	const clients, most = 500, 6_700
	_, address := benchServer(t)
	memory := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools gave up
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	join(t, address) // whatever is made once
	before := memory()
	for range clients {
		join(t, address)
	}
	if each := (memory() - before) / clients; each > most {
		t.Errorf("%d bytes, want at most %d", each, most)
	} else {
		t.Logf("%d bytes", each)
	}
}
