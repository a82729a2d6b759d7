// Package network is a network that fails when a test wants it to.
package network

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A Proxy is a network between servers and Redis, which can fail. It ends with the test.
type Proxy struct {
	listener *net.TCPListener
	to       *net.TCPAddr
	running  sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	wires     map[*wire]struct{}
	passable  chan struct{} // closed unless there is a partition
	delayed   time.Duration
	forwarded int64 // bytes
}

// A wire is one connection through a proxy.
type wire struct {
	near, far *net.TCPConn
	broken    chan struct{} // closed when it is cut
	once      sync.Once
}

// Start starts a network that works, in front of an address.
func Start(tb testing.TB, to string) *Proxy {
	tb.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	server, err := net.ResolveTCPAddr("tcp", to)
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{listener: l, to: server, wires: make(map[*wire]struct{}), passable: make(chan struct{})}
	close(p.passable)
	p.running.Go(p.serve)
	tb.Cleanup(p.end)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut breaks all connections. New ones are possible at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.wires {
		w.cut()
	}
}

// Partition lets nothing through in either direction until heal is called. Connections
// stay, and new ones seem to succeed. What was sent meanwhile arrives afterwards.
func (p *Proxy) Partition() (heal func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	passable := make(chan struct{})
	p.passable = passable
	return sync.OnceFunc(func() { close(passable) })
}

// Delay makes each piece of data wait, one after the other on each connection.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delayed = d
}

// Bytes returns how much has gone through so far, in both directions.
func (p *Proxy) Bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forwarded
}

func (p *Proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut()
	p.running.Wait()
}

func (p *Proxy) serve() {
	for {
		near, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		p.running.Go(func() { p.connect(near) })
	}
}

// connect carries a connection until both ends have said their last word, or it is cut.
func (p *Proxy) connect(near *net.TCPConn) {
	w := &wire{near: near, broken: make(chan struct{})}
	defer w.cut()
	far, err := net.DialTCP("tcp", nil, p.to)
	if err != nil {
		return // the other end sees its connection end
	}
	w.far = far
	p.mu.Lock()
	p.wires[w] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wires, w)
	}()
	if closed {
		return
	}
	var up sync.WaitGroup
	up.Go(func() { p.carry(w, w.far, w.near) })
	p.carry(w, w.near, w.far)
	up.Wait()
}

// carry carries one direction.
func (p *Proxy) carry(w *wire, to, from *net.TCPConn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && (!p.pass(w, n) || !write(to, buf[:n])) {
			break
		}
		if err != nil {
			break
		}
	}
	_ = to.CloseWrite()
}

func write(to io.Writer, data []byte) bool {
	_, err := to.Write(data)
	return err == nil
}

// pass waits until a piece may go on. It reports whether the connection is still there.
func (p *Proxy) pass(w *wire, n int) bool {
	p.mu.Lock()
	passable, delayed := p.passable, p.delayed
	p.mu.Unlock()
	if delayed > 0 {
		timer := time.NewTimer(delayed)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-w.broken:
			return false
		}
	}
	select {
	case <-passable:
	case <-w.broken:
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forwarded += int64(n)
	return true
}

// cut ends the connection by a reset.
func (w *wire) cut() {
	w.once.Do(func() {
		close(w.broken)
		for _, c := range []*net.TCPConn{w.near, w.far} {
			if c != nil {
				_ = c.SetLinger(0)
				_ = c.Close()
			}
		}
	})
}
