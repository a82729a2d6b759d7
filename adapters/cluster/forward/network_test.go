package forward_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A wire is a network in front of a server that fails when the test wants it to.
type wire struct {
	listener net.Listener
	target   string

	running sync.WaitGroup
	mu      sync.Mutex
	stalled bool // connections are accepted, and nothing happens
	conns   map[net.Conn]struct{}
}

// newWire puts a wire in front of a node.
func newWire(t *testing.T, s *node) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: s.address, conns: make(map[net.Conn]struct{})}
	s.Announce(l.Addr().String())
	w.running.Go(w.accept)
	t.Cleanup(func() {
		w.die()
		w.running.Wait()
	})
	return w
}

func (w *wire) accept() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		stalled := w.stalled
		w.conns[in] = struct{}{}
		w.mu.Unlock()
		if stalled {
			continue
		}
		out, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = in.Close()
			continue
		}
		w.mu.Lock()
		w.conns[out] = struct{}{}
		w.mu.Unlock()
		w.running.Go(func() { w.pass(in, out) })
		w.running.Go(func() { w.pass(out, in) })
	}
}

func (w *wire) pass(dst, src net.Conn) {
	_, _ = io.Copy(dst, src) // ends with one of them
	_, _ = dst.Close(), src.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, dst)
	delete(w.conns, src)
}

// stall lets nothing through any more. What is there is kept.
func (w *wire) stall() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled = true
}

// cut closes all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
	}
}

// die ends the wire as if the server was killed.
func (w *wire) die() {
	_ = w.listener.Close()
	w.cut()
}
