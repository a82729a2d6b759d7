package sio_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A client that sends faster than handlers work is slowed down: nothing is
// lost, memory is bounded, and it is not taken for dead meanwhile, although its
// pongs are not read.
func TestBackPressure(t *testing.T) {
	const n, pending = 1000, 8
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{MaxPendingEvents: pending}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s story
				var handled, sent atomic.Int32
				release := make(chan struct{})
				srv.On("event", sio.Bind(func(_ *sio.Ctx, i int) error {
					<-release
					if got := handled.Add(1); int(got) != i+1 {
						t.Errorf("event %d is the %dth", i, got)
					}
					return nil
				}))
				srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { s.add("%s", r) })
				echo(srv.Namespace)
				bystander := d.WebSocket(t)
				bystander.Connect("/", "")
				c := open(t, d)
				c.Connect("/", "")
				done := make(chan error, 1)
				go func() {
					for i := range n {
						// Long ones, so that buffers do not take many.
						if err := c.TrySend(fmt.Sprintf(`42["event",%d,"%s"]`, i, strings.Repeat("x", 500))); err != nil {
							done <- err
							return
						}
						sent.Add(1)
					}
					done <- nil
				}()
				// An hour without a handler returning, and without a pong read.
				for range 360 {
					time.Sleep(10 * time.Second)
					mustEcho(t, bystander)
				}
				if got := int(sent.Load()); got < pending || got > 3*pending {
					t.Errorf("%d events were taken while %d may wait", got, pending)
				}
				s.want(t)
				close(release)
				must(t, <-done)
				synctest.Wait()
				if got := handled.Load(); got != n {
					t.Errorf("%d of %d events handled", got, n)
				}
				mustEcho(t, c) // pongs flow again
				s.want(t)
			})
		})
	}
}

// The heartbeat goes on when the wait is over: a client that has died is
// noticed.
func TestBackPressureReleasesTheHeartbeat(t *testing.T) {
	bubble(t, &sio.Options{MaxPendingEvents: 2}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		var alive story
		srv.On("slow", func(c *sio.Ctx) error {
			time.Sleep(time.Hour)
			alive.add("%v", c.Connected())
			return nil
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["slow"]`, `42["slow"]`, `42["slow"]`, `42["slow"]`, `42["slow"]`)
		if got := <-why; got != sio.ReasonPingTimeout {
			t.Errorf("reason %q", got)
		}
		// Two wait and one is handled, so the connection is read again when the
		// second has been.
		alive.want(t, "true", "true", "false", "false", "false")
	})
}

func TestBackPressureByBytes(t *testing.T) {
	bubble(t, &sio.Options{MaxPendingBytes: 10_000}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var sent atomic.Int32
		release := make(chan struct{})
		srv.On("event", func(*sio.Ctx) error { <-release; return nil })
		c := d.WebSocket(t)
		c.Connect("/", "")
		done := make(chan error, 1)
		go func() {
			for range 20 {
				if err := c.TrySend(`451-["event",{"_placeholder":true,"num":0}]`, "b"+strings.Repeat("AAAA", 2000)); err != nil {
					done <- err
					return
				}
				sent.Add(1)
			}
			done <- nil
		}()
		time.Sleep(time.Second)
		if got := sent.Load(); got < 2 || got > 5 {
			t.Errorf("%d events of 6 kB were taken while 10 kB may wait", got)
		}
		close(release)
		must(t, <-done)
	})
}

// The handler of one namespace must not hold up what another namespace of the
// same client has already got.
func TestBackPressureOfOneNamespaceLeavesWhatOthersHaveAlone(t *testing.T) {
	bubble(t, &sio.Options{MaxPendingEvents: 2}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		handled := make(chan struct{})
		srv.On("event", func(*sio.Ctx) error { <-handled; return nil })
		srv.Of("/other").On("event", func(*sio.Ctx) error { close(handled); return nil })
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Connect("/other", "")
		c.Send(`42["event"]`, `42/other,["event"]`, `42["event"]`, `42["event"]`, `42["event"]`, `42["event"]`)
		mustEcho(t, c)
	})
}

func TestSlowConsumerIsDisconnectedAndDelaysNobody(t *testing.T) {
	const limit = 64 << 10
	bubble(t, &sio.Options{MaxSendBuffer: limit}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		type gone struct {
			id     string
			reason sio.Reason
		}
		left := make(chan gone, 1)
		srv.OnDisconnect(func(s *sio.Socket, r sio.Reason) { left <- gone{s.ID(), r} })
		cr := newCrowd(t, srv, d, "/", "a", "b")
		slow, fast := cr.sockets["a"], cr.clients["b"]
		text := strings.Repeat("x", 1000)
		sent := 0
		for start := time.Now(); slow.Connected(); sent++ {
			must(t, srv.Emit("news", text))
			fast.Want(`42["news","` + text + `"]`)
			synctest.Wait()
			if time.Since(start) > 0 {
				t.Fatal("the broadcast or the other client had to wait")
			}
		}
		if sent < limit/2000 || sent > limit/1000 { // a packet takes more memory than it is long
			t.Errorf("%d kB were queued, %d are allowed", sent, limit>>10)
		}
		if got := <-left; got.id != slow.ID() || got.reason != sio.ReasonTransportError {
			t.Errorf("gone: %v", got)
		}
		if err := slow.Emit("x"); !errors.Is(err, sio.ErrDisconnected) || !errors.Is(err, sio.ErrSlowClient) {
			t.Errorf("Emit afterwards: %v", err)
		}
		must(t, srv.Emit("end"))
		fast.Want(`42["end"]`)
	})
}

func TestEmitToASlowClientSaysSo(t *testing.T) {
	const limit = 10_000
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{MaxSendBuffer: limit}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				got := make(chan *sio.Socket, 1)
				srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
				open(t, d).Connect("/", "")
				s := <-got
				var err error
				for range limit {
					if err = s.Emit("x", []byte{1, 2, 3}); err != nil {
						break
					}
				}
				if !errors.Is(err, sio.ErrSlowClient) {
					t.Errorf("got %v", err)
				}
				if err := s.Emit("x"); !errors.Is(err, sio.ErrDisconnected) {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

func TestBufferedTellsWhatWaitsForAClient(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s *sio.Socket
				srv.OnConnect(func(c *sio.Ctx) error { s = c.Socket; return nil })
				c := open(t, d)
				c.Connect("/", "")
				synctest.Wait()
				if n := s.Buffered(); n != 0 {
					t.Errorf("%d bytes wait for an idle client", n)
				}
				must(t, s.Emit("first", strings.Repeat("x", 1000))) // of which some may be on its way
				must(t, s.Emit("second", strings.Repeat("x", 1000)))
				synctest.Wait()
				if n := s.Buffered(); n < 1000 || n > 4000 {
					t.Errorf("%d bytes wait", n)
				}
				c.Next()
				c.Next()
				synctest.Wait()
				if n := s.Buffered(); n != 0 {
					t.Errorf("%d bytes wait for a client that has read", n)
				}
			})
		})
	}
}
