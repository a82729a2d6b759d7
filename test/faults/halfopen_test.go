package faults_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A cable is a network in memory, in fake time, that can fail.
type cable struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex
	conns []*length
	flows chan struct{} // closed unless it is frozen
}

// A length is one connection over a cable.
type length struct {
	net.Conn // the client's end

	mu   sync.Mutex
	hole bool
}

func newCable(d siotest.Dialer) *cable {
	flows := make(chan struct{})
	close(flows)
	return &cable{dial: d.Dial, flows: flows}
}

// connect is a DialContext.
func (c *cable) connect(ctx context.Context, network, address string) (net.Conn, error) {
	server, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	client, near := net.Pipe()
	l := &length{Conn: client}
	c.mu.Lock()
	c.conns = append(c.conns, l)
	c.mu.Unlock()
	go c.carry(l, server, near) // both end with the connection
	go c.carry(l, near, server)
	return l, nil
}

func (c *cable) carry(l *length, to, from net.Conn) {
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		c.mu.Lock()
		flows := c.flows
		c.mu.Unlock()
		<-flows
		l.mu.Lock()
		hole := l.hole
		l.mu.Unlock()
		if hole {
			if err != nil {
				return
			}
			continue
		}
		if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}

// swallow makes all connections half-open.
func (c *cable) swallow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.conns {
		l.mu.Lock()
		l.hole = true
		l.mu.Unlock()
	}
}

// freeze has nothing go on until thaw is called.
func (c *cable) freeze() (thaw func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	flows := make(chan struct{})
	c.flows = flows
	return func() { close(flows) }
}

// An ending is the end of a connection.
type ending[R any] struct {
	reason R
	at     time.Time
}

const (
	pingInterval = 25 * time.Second
	pingTimeout  = 20 * time.Second
)

// inFakeTime runs a test for both transports. It has a client, and the ends of its
// connections as the server sees them and as the client does.
func inFakeTime(t *testing.T, opts sio.Options, f func(t *testing.T, f *fakeTime)) {
	t.Helper()
	for _, transport := range []string{sioclient.Polling, sioclient.WebSocket} {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts.Logger = slog.New(slog.DiscardHandler)
				srv := sio.New(&opts)
				defer func() { _ = srv.Shutdown(context.WithoutCancel(t.Context())) }()
				w := &fakeTime{
					srv:     srv,
					servers: make(chan ending[sio.Reason], 10), clients: make(chan ending[sioclient.Reason], 10),
					back: make(chan bool, 10), got: make(chan int, 100),
				}
				srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { w.servers <- ending[sio.Reason]{r, time.Now()} })
				srv.On("number", sio.Bind(func(_ *sio.Ctx, n int) error { w.got <- n; return nil }))
				w.cable = newCable(siotest.Pipes(t, srv))
				c, err := sioclient.New("http://pipe.test", &sioclient.Options{
					Transports: []string{transport}, DialContext: w.cable.connect, Logger: opts.Logger,
					RandomizationFactor: -1, ReconnectionDelayMax: time.Minute,
				})
				if err != nil {
					t.Fatal(err)
				}
				c.OnConnect(func(s *sioclient.Socket) { w.back <- s.Recovered() })
				c.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) {
					w.clients <- ending[sioclient.Reason]{r, time.Now()}
				})
				w.client, w.began = c, time.Now()
				if err := c.Connect(t.Context()); err != nil {
					t.Fatal(err)
				}
				<-w.back
				f(t, w)
				if err := c.Manager().Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				time.Sleep(pingInterval + pingTimeout) // for handshakes that the client had given up
				synctest.Wait()
				if n := srv.ClientsCount(); n != 0 {
					t.Errorf("%d clients are left", n)
				}
			})
		})
	}
}

// A fakeTime is a client and a server in fake time.
type fakeTime struct {
	srv     *sio.Server
	cable   *cable
	client  *sioclient.Socket
	began   time.Time
	servers chan ending[sio.Reason]
	clients chan ending[sioclient.Reason]
	back    chan bool // connected: recovered or not
	got     chan int  // numbers of the client
}

// wantEnds waits until both ends have noticed the silence, each at this time.
func (w *fakeTime) wantEnds(t *testing.T, server, client time.Duration) {
	t.Helper()
	if e := <-w.servers; e.reason != sio.ReasonPingTimeout || e.at.Sub(w.began) != server {
		t.Errorf("the server ended it after %v: %s, want %v", e.at.Sub(w.began), e.reason, server)
	}
	if e := <-w.clients; e.reason != sioclient.ReasonPingTimeout || e.at.Sub(w.began) != client {
		t.Errorf("the client ended it after %v: %s, want %v", e.at.Sub(w.began), e.reason, client)
	}
}

// wantNumbers takes the numbers 0 to n-1 that the client sent, and no others.
func (w *fakeTime) wantNumbers(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if got := <-w.got; got != i {
			t.Errorf("the server got %d, want %d", got, i)
		}
	}
	synctest.Wait()
	if len(w.got) > 0 {
		t.Errorf("the server got %d once more", <-w.got)
	}
}

// A connection becomes half-open. Both ends notice PingInterval + PingTimeout after the last
// sign of life, to the nanosecond. The client comes back, and what it emitted afterwards
// arrives once, in order.
func TestHalfOpenEndsExactlyInTime(t *testing.T) {
	for name, silentFrom := range map[string]time.Duration{"before the first ping": 10 * time.Second, "later": 60 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, sio.Options{}, func(t *testing.T, w *fakeTime) {
				time.Sleep(silentFrom)
				w.cable.swallow()
				lastPing := silentFrom.Truncate(pingInterval)
				w.wantEnds(t, lastPing+pingInterval+pingTimeout, lastPing+pingInterval+pingTimeout)
				for i := range 10 {
					if err := w.client.Emit("number", i); err != nil {
						t.Fatal(err)
					}
				}
				<-w.back
				w.wantNumbers(t, 10)
			})
		})
	}
}

// With ConnectionStateRecovery, a client whose connection was half-open gets what it has
// missed, as soon as the server has noticed as well.
func TestHalfOpenIsRecovered(t *testing.T) {
	inFakeTime(t, sio.Options{ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, w *fakeTime) {
		news := make(chan int, 100)
		w.client.On("news", sioclient.Bind(func(_ *sioclient.Ctx, n int) error { news <- n; return nil }))
		emit := func(n int) {
			if err := w.srv.Emit("news", n); err != nil {
				t.Fatal(err)
			}
		}
		emit(0)
		<-news
		time.Sleep(time.Second)
		w.cable.swallow()
		time.Sleep(time.Second)
		for i := range 5 { // these vanish in the network
			emit(1 + i)
		}
		w.wantEnds(t, pingInterval+pingTimeout, pingInterval+pingTimeout)
		emit(6)
		if !<-w.back {
			t.Error("the session was not recovered")
		}
		emit(7)
		for i := range 7 {
			if got := <-news; got != 1+i {
				t.Errorf("the client got %d, want %d", got, 1+i)
			}
		}
	})
}
