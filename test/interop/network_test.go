package interop_test

import (
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
)

// A network is between clients and the server, and can fail. For those in Node there
// is support/network.js.
type network struct {
	*net.TCPListener

	server  *net.TCPAddr
	running sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[*net.TCPConn]struct{} // both ends of each connection
}

// newNetwork returns a network that works, and the environment by which a program of
// tests uses it.
func newNetwork(t *testing.T, a *app) []string {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server, err := net.ResolveTCPAddr("tcp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{TCPListener: ln, server: server, open: make(map[*net.TCPConn]struct{})}
	n.running.Go(n.serve)
	control := httptest.NewServer(command(n.cut))
	t.Cleanup(func() {
		control.Close()
		n.end()
	})
	return []string{"INTEROP_URL=http://" + ln.Addr().String(), "INTEROP_CUT_URL=" + control.URL}
}

func (n *network) serve() {
	for {
		near, err := n.AcceptTCP()
		if err != nil {
			return
		}
		n.running.Go(func() { n.connect(near) })
	}
}

// connect carries a connection until both ends have said their last word, or it is cut.
func (n *network) connect(near *net.TCPConn) {
	defer near.Close()
	far, err := net.DialTCP("tcp", nil, n.server)
	if err != nil {
		return // the client sees its connection end, as without a listener
	}
	defer far.Close()
	if !n.keep(near, far) {
		return
	}
	defer n.forget(near, far)
	var up sync.WaitGroup
	up.Go(func() { carry(far, near) })
	carry(near, far)
	up.Wait()
}

func carry(to, from *net.TCPConn) {
	_, _ = io.Copy(to, from) // then the other end is closed, too
	_ = to.CloseWrite()
}

func (n *network) keep(ends ...*net.TCPConn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range ends {
		n.open[c] = struct{}{}
	}
	return !n.closed
}

func (n *network) forget(ends ...*net.TCPConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range ends {
		delete(n.open, c)
	}
}

// cut breaks all connections. New ones are possible at once.
func (n *network) cut() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		_ = c.SetLinger(0) // a reset, not a goodbye
		_ = c.Close()
	}
	return nil
}

func (n *network) end() {
	_ = n.Close()
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	_ = n.cut()
	n.running.Wait()
}
