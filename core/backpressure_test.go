package sio_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A busyPoller is a polling client that goes on as an official one does while a POST
// of it waits: it polls, and answers pings with the next POST.
type busyPoller struct {
	web     *http.Client
	url     string
	posting chan struct{} // full while a POST is under way
	stopped atomic.Bool
	running sync.WaitGroup
}

func newBusyPoller(t *testing.T, d siotest.Dialer, c *siotest.Client) *busyPoller {
	t.Helper()
	p := &busyPoller{
		web: d.HTTP(t), url: d.Endpoint("EIO", "4", "transport", "polling", "sid", c.SID()),
		posting: make(chan struct{}, 1),
	}
	p.running.Go(p.poll)
	return p
}

func (p *busyPoller) poll() {
	for !p.stopped.Load() {
		res, err := p.web.Get(p.url)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return
		}
		if slices.Contains(strings.Split(string(body), "\x1e"), "2") {
			p.running.Go(func() { _ = p.post("3") })
		}
	}
}

func (p *busyPoller) post(packets ...string) error {
	p.posting <- struct{}{}
	defer func() { <-p.posting }()
	res, err := p.web.Post(p.url, "text/plain", strings.NewReader(strings.Join(packets, "\x1e")))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// stop waits until the next ping at most.
func (p *busyPoller) stop() {
	p.stopped.Store(true)
	p.running.Wait()
}

// A client that sends faster than handlers work is slowed down: nothing is
// lost, memory is bounded, and it is not taken for dead meanwhile, although its
// pongs are not read.
func TestBackPressure(t *testing.T) {
	const n, pending, bytes, size = 1000, 8, 10_000, 256 + 500
	const most = pending + 8*bytes/size + 3 // what is on its way
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{MaxPendingEvents: pending, MaxPendingBytes: bytes}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
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
				send, stop := c.TrySend, func() {}
				if name == "polling" { // what the others answer is not read in this time
					p := newBusyPoller(t, d, c)
					send, stop = p.post, func() {
						go p.stop()
						for range 3 { // until the next ping
							time.Sleep(10 * time.Second)
							mustEcho(t, bystander) // its pings have to be read meanwhile
						}
						p.running.Wait()
					}
				}
				done := make(chan error, 1)
				go func() {
					for i := range n {
						// Long ones, so that buffers do not take many.
						if err := send(fmt.Sprintf(`42["event",%d,"%s"]`, i, strings.Repeat("x", 500))); err != nil {
							done <- err
							return
						}
						sent.Add(1)
					}
					done <- nil
				}()
				time.Sleep(time.Second) // nothing is awaited yet
				synctest.Wait()
				if got := int(sent.Load()); got < pending || got > pending+3 {
					t.Errorf("%d events were taken while %d may wait", got, pending)
				}
				// Minutes without a handler returning, and without a pong read.
				for range 17 {
					time.Sleep(10 * time.Second)
					mustEcho(t, bystander)
				}
				if got := int(sent.Load()); got < pending || got > most {
					t.Errorf("%d events were taken while a pong was awaited, want at most %d", got, most)
				}
				s.want(t)
				close(release)
				must(t, <-done)
				stop()
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

// A client that had sent more than may wait and was never seen again stayed for ever.
func TestAClientThatIsGoneIsNoticedWhateverItSentBefore(t *testing.T) {
	for name, open := range transports() {
		for _, n := range []int{10, 300, 3000} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					why := reasons(srv.Namespace)
					srv.On("subscribe", func(c *sio.Ctx) error { <-c.Context().Done(); return nil })
					srv.On("e", func(*sio.Ctx) error { return nil })
					c := open(t, d)
					c.Connect("/", "")
					start := time.Now()
					go func() {
						_ = c.TrySend(`42["subscribe"]`)
						_ = c.TrySend(slices.Repeat([]string{`42["e"]`}, n)...)
					}()
					if got := <-why; got != sio.ReasonPingTimeout {
						t.Errorf("reason %q", got)
					}
					if took := time.Since(start); took > 45*time.Second {
						t.Errorf("noticed after %v", took)
					}
				})
			})
		}
	}
}

// Its connection breaks instead, which nobody reads.
func TestAConnectionThatBreaksWhileItIsNotReadIsNoticed(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		srv.On("subscribe", func(c *sio.Ctx) error { <-c.Context().Done(); return nil })
		c := d.WebSocket(t)
		c.Connect("/", "")
		start := time.Now()
		go func() { _ = c.TrySend(slices.Repeat([]string{`42["subscribe"]`}, 300)...) }()
		time.Sleep(time.Second)
		c.Abort()
		<-why
		if took := time.Since(start); took > 25*time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
}

// A handler that takes an hour is no reason to disconnect a client that answers
// pings behind what it sent.
func TestAClientThatAnswersPingsOutlivesASlowHandler(t *testing.T) {
	const n, hour = 3000, time.Hour + 10*time.Second // not when a ping is due
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				why := reasons(srv.Namespace)
				handled := 0
				srv.On("e", sio.Bind(func(c *sio.Ctx, i int) error {
					if i != handled {
						t.Errorf("event %d is the %dth", i, handled)
					}
					if handled++; i == 0 {
						time.Sleep(hour)
					}
					if i == n-1 {
						return c.Emit("end")
					}
					return nil
				}))
				c := open(t, d)
				c.Connect("/", "")
				send := c.TrySend
				var stop func()
				if name == "polling" {
					p := newBusyPoller(t, d, c)
					send, stop = p.post, p.stop
				} else {
					var reading sync.WaitGroup
					reading.Go(func() { _, _ = c.TryNext() }) // answers pings, and ends with the event
					stop = reading.Wait
				}
				go func() {
					var packets []string
					for i := range n {
						packets = append(packets, fmt.Sprintf(`42["e",%d]`, i))
					}
					_ = send(packets...)
				}()
				time.Sleep(hour + time.Second)
				stop()
				if handled != n {
					t.Errorf("%d of %d events handled", handled, n)
				}
				if len(why) != 0 {
					t.Errorf("disconnected: %s", <-why)
				}
			})
		})
	}
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
