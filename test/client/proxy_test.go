package client_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A proxy forwards TCP connections, and can do harm to them.
type proxy struct {
	to  string
	url string

	mu    sync.Mutex
	holes []*atomic.Bool // for each connection: it is half-open
	conns []net.Conn
	stall bool // nothing is forwarded
	open  bool // connections are accepted
	gate  *sync.Cond
	wg    sync.WaitGroup
}

// newProxy returns a proxy to the server of that URL.
func newProxy(t *testing.T, url string) *proxy {
	t.Helper()
	p := &proxy{to: strings.TrimPrefix(url, "http://")}
	p.gate = sync.NewCond(&p.mu)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + l.Addr().String()
	p.accept()
	p.serve(l)
	t.Cleanup(func() {
		_ = l.Close()
		p.stalled(false)
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) serve(l net.Listener) {
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", p.target())
			if err != nil {
				_ = c.Close()
				continue
			}
			p.mu.Lock()
			hole := new(atomic.Bool)
			p.conns, p.holes = append(p.conns, c, s), append(p.holes, hole)
			open := p.open
			p.mu.Unlock()
			if !open {
				p.cut()
				continue
			}
			p.wg.Go(func() { p.forward(c, s, hole) })
			p.wg.Go(func() { p.forward(s, c, hole) })
		}
	})
}

func (p *proxy) forward(dst, src net.Conn, hole *atomic.Bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		p.mu.Lock()
		for p.stall {
			p.gate.Wait()
		}
		p.mu.Unlock()
		if hole.Load() { // neither bytes nor the end are passed on
			if err != nil {
				return
			}
			continue
		}
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				break
			}
		}
		if err == io.EOF { // the other direction goes on
			if half, ok := dst.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			return
		}
		if err != nil {
			break
		}
	}
	_ = dst.Close()
	_ = src.Close()
}

// swallow makes all connections half-open: they stay, and what either end sends vanishes,
// its end included, as behind a router that has forgotten them. New connections work.
func (p *proxy) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, hole := range p.holes {
		hole.Store(true)
	}
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.conns {
		if tc, ok := c.(*net.TCPConn); ok && i%2 == 0 {
			_ = tc.SetLinger(0) // a reset for the client; the server is to see what came before
		}
		_ = c.Close()
	}
	p.conns, p.holes = nil, nil
}

// redirect sends new connections to another server.
func (p *proxy) redirect(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = strings.TrimPrefix(url, "http://")
}

func (p *proxy) target() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to
}

// stalled has nothing forwarded, or all again. Connections stay open, and new ones are
// accepted.
func (p *proxy) stalled(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = on
	p.gate.Broadcast()
}

// refuse has new connections reset. The port stays taken, so that nobody else gets it.
func (p *proxy) refuse() { p.setOpen(false) }

// accept undoes refuse.
func (p *proxy) accept() { p.setOpen(true) }

func (p *proxy) setOpen(open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = open
}
