//go:build unix

package faults_test

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/siotest"
)

// The process of a server stands still for longer than clients have to answer a ping, as a
// virtual machine that is moved, and all its timers are late. Clients that have answered, or
// could not, because the server did not ping, are still there afterwards. So is one that
// came meanwhile.
func TestServerStandsStill(t *testing.T) {
	const interval, timeout = 100 * time.Millisecond, 2 * time.Second
	s := startChild(t, settings{Mount: "nethttp", PingInterval: interval, PingTimeout: timeout})
	const clients = 20
	var pings [clients]atomic.Int64
	ended := make(chan error, clients)
	for i := range clients {
		c := openWebSocket(t, s.addr)
		go func() { // ends with the connection: it answers each ping at once
			for {
				_, p, err := c.next()
				if err != nil {
					ended <- err
					return
				}
				if p == "2" {
					_, _ = c.Write(text("3"))
					pings[i].Add(1)
				}
			}
		}()
	}
	pinged := func() string {
		for i := range pings {
			if len(ended) == 0 && pings[i].Load() < 2 {
				return fmt.Sprint("client ", i, " was not pinged twice")
			}
		}
		return ""
	}
	eventually(t, "all are pinged", pinged)
	if err := s.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(interval + timeout + 1500*time.Millisecond) // timers that are a second late count as late
	meanwhile := dial(t, s.addr)
	meanwhile.send(webSocketRequest(""), text("40"))
	for i := range pings {
		pings[i].Store(0)
	}
	if err := s.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !meanwhile.connected() {
		t.Error("a client that came meanwhile is not served")
	}
	eventually(t, "all are pinged again", pinged)
	echo(t, siotest.Dialer{URL: "http://" + s.addr + "/socket.io/"}.Connect(t, "/", nil), 1)
	if n := len(ended); n > 0 {
		t.Errorf("%d of %d clients were given up", n, clients)
	}
	if lines := s.lines(); len(lines) > 0 {
		t.Errorf("logged: %q", lines)
	}
}
