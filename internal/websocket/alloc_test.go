//go:build !race

package websocket_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
)

// A signaller tells that it was flushed, and allocates nothing.
type signaller struct{ flushed chan struct{} }

func (signaller) Message(bool, []byte)      {}
func (signaller) Control(*frame.Frame)      {}
func (s signaller) ReadDone() bool          { s.flushed <- struct{}{}; return true }
func (s signaller) serve(c *websocket.Conn) { _ = c.Serve(s) }

func TestReadAllocations(t *testing.T) {
	one := masked(fin|text, strings.Repeat("a", 100))
	sixteen := bytes.Repeat(one, 16)
	for _, n := range networks() {
		if n.name == "tls" {
			continue // crypto/tls allocates
		}
		for _, p := range [][]byte{one, sixteen} {
			server, client := n.pair(t)
			c := websocket.New(server, limit, nil)
			s := signaller{make(chan struct{})}
			go s.serve(c)
			got := testing.AllocsPerRun(500, func() {
				_, _ = client.Write(p)
				<-s.flushed
			})
			if got != 0 {
				t.Errorf("%s: %v allocations for %d bytes", n.name, got, len(p))
			}
			_ = c.Close()
		}
	}
}

func TestWriteAllocations(t *testing.T) {
	for _, n := range networks()[:2] {
		for _, count := range []int{1, 16} {
			server, client := n.pair(t)
			c := websocket.New(server, limit, nil)
			frames := makeFrames(count)
			got := make([]byte, len(wire(frames)))
			allocs := testing.AllocsPerRun(500, func() {
				if blocked, err := c.Write(frames); blocked || err != nil {
					t.Fatal(blocked, err)
				}
				if _, err := io.ReadFull(client, got); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%s: %v allocations for %d frames", n.name, allocs, count)
			}
		}
	}
}

// Connections that have compressed and are idle again take little more than
// those that never will.
func TestDeflateIdleAllocations(t *testing.T) {
	off, on := idleBytes(t, nil), idleBytes(t, websocket.NewDeflate(safe()))
	t.Logf("a Conn takes %d bytes, one that compresses %d", off, on)
	if on > off+64 {
		t.Errorf("a Conn takes %d bytes, one that compresses %d", off, on)
	}
}

// idleBytes returns how much memory each of many connections takes after it has
// sent and received something.
func idleBytes(t *testing.T, d *websocket.Deflate) int {
	t.Helper()
	const count = 1000
	message, f := masked(fin|text, json(5000, 1)), textFrame(json(5000, 1))
	if d != nil {
		message = masked(fin|rsv1|text, newDeflating(t, false, 15).compress(json(5000, 1)))
	}
	nc := &discardConn{}
	conns := make([]*websocket.Conn, count)
	before := heap()
	for i := range conns {
		conns[i] = websocket.New(nc, limit, nil)
		if d != nil {
			conns[i].Compress(agree(t, d, pmd))
		}
		if err := errors.Join(conns[i].Parse(new(recorder), bytes.Clone(message)), send(conns[i], f)); err != nil {
			t.Fatal(err)
		}
	}
	after := heap()
	runtime.KeepAlive(conns)
	runtime.KeepAlive(d)
	return (int(after) - int(before)) / count
}

func heap() uint64 {
	for range 3 { // pools give their content up in the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestDeflateAllocations(t *testing.T) {
	c := compressing(t, &discardConn{}, safe(), pmd)
	h := new(echoer)
	p := masked(fin|rsv1|text, newDeflating(t, false, 15).compress(json(10_000, 1)))
	sent := make([]byte, len(p))
	if got := testing.AllocsPerRun(100, func() {
		copy(sent, p)
		if err := c.Parse(h, sent); err != nil {
			t.Fatal(err)
		}
		h.queued = h.queued[:0]
	}); got != 0 {
		t.Errorf("%v allocations to read a message", got)
	}
	shared := []*frame.Frame{textFrame(json(10_000, 1))}
	if got := testing.AllocsPerRun(100, func() {
		if err := send(c, shared...); err != nil {
			t.Fatal(err)
		}
	}); got > 2 { // two slices
		t.Errorf("%v allocations to write a message that is compressed already", got)
	}
}

// A client masks in memory that is borrowed.
func TestClientWriteAllocations(t *testing.T) {
	for _, n := range networks()[:2] {
		server, client := n.pair(t)
		c := websocket.NewClient(client, limit, nil)
		frames := makeFrames(16)
		got := make([]byte, len(websocket.AppendMasked(nil, frames)))
		allocs := testing.AllocsPerRun(500, func() {
			if blocked, err := c.Write(frames); blocked || err != nil {
				t.Fatal(blocked, err)
			}
			if _, err := io.ReadFull(server, got); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", n.name, allocs)
		}
	}
}
