package natsadapter_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// A gate is a network in front of a server of NATS. While it is closed, nothing gets through,
// and connections stay.
type gate struct {
	url string

	passing sync.RWMutex // held for writing while it is closed
}

func startGate(t *testing.T, s *natsServer) *gate {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{url: "nats://" + ln.Addr().String()}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = ln.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", strings.TrimPrefix(s.srv.ClientURL(), "nats://"))
			if err != nil {
				_ = near.Close()
				continue
			}
			running.Go(func() { g.carry(near, far) })
			running.Go(func() { g.carry(far, near) })
		}
	})
	return g
}

func (g *gate) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	_, _ = io.Copy(through{to, g}, from)
}

// through is an end of a connection behind a gate.
type through struct {
	io.Writer

	gate *gate
}

func (w through) Write(b []byte) (int, error) {
	w.gate.passing.RLock()
	defer w.gate.passing.RUnlock()
	return w.Writer.Write(b)
}

// CF-10: a NATS that hangs only delays, until nats.go gives it up. Nothing is lost.
func TestAHungNATSDelays(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	g := startGate(t, s)
	a, b := join(t, newServer(connectTo(t, g.url))), join(t, newServer(s.connect(t)))
	whole(t, a, b)
	g.passing.Lock()
	const n = 500
	for i := range n {
		a.publish(fmt.Sprint(i))
	}
	if _, err := a.ask(100 * time.Millisecond); err == nil {
		t.Error("asking had no error")
	}
	eventually(t, "the hang is seen", func() bool { return a.toldOf("the broker does not answer") })
	g.passing.Unlock()
	for i := range n {
		b.expect(fmt.Sprint(i))
	}
	whole(t, a, b)
	for _, x := range []*node{a, b} {
		if st := x.cluster.Status(); st.Lost != 0 || st.Gaps != 0 {
			t.Errorf("status %+v", st)
		}
	}
}

// A connection that nats.go gives up is one that is lost: what was on its way is counted.
func TestAHungNATSIsGivenUp(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	g := startGate(t, s)
	a := join(t, newServer(connectTo(t, g.url, nats.PingInterval(100*time.Millisecond), nats.Timeout(time.Second))))
	b := join(t, newServer(s.connect(t)))
	whole(t, a, b)
	g.passing.Lock()
	a.publish("on its way")
	eventually(t, "the connection is given up", func() bool { return a.toldOf("the connection with NATS is lost") })
	a.publish("waits")
	g.passing.Unlock()
	whole(t, a, b)
	a.publish("end")
	var got []string
	for len(got) == 0 || got[len(got)-1] != `["end"]` {
		got = append(got, <-b.got)
	}
	if st := a.cluster.Status(); 3-len(got) > int(st.Lost) || st.Gaps != 1 {
		t.Errorf("got %q, status %+v", got, st)
	}
}

// A server that ends while NATS hangs does not wait for it.
func TestClosingWhileNATSHangs(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	g := startGate(t, s)
	a, b := join(t, newServer(connectTo(t, g.url))), join(t, newServer(s.connect(t)))
	whole(t, a, b)
	g.passing.Lock()
	defer g.passing.Unlock()
	a.publish("lost")
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Publish(event("closed")); err == nil {
		t.Error("publishing after Close had no error")
	}
}
