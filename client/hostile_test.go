package sioclient_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
)

// These tests are a client's view of servers that break rules, or keep to them in a way
// that hurts.

// once are options of a client that does not connect again.
func once(transports ...string) sioclient.Options {
	return sioclient.Options{Transports: transports, DisableReconnection: true}
}

// What a server says about its heartbeat and sizes is a number of any size, or nothing
// that can be used.
func TestOpenPacketsOfAllKinds(t *testing.T) {
	t.Parallel()
	for open, ok := range map[string]bool{
		openPacket: true,
		`0{"sid":"s","pingInterval":25000,"pingTimeout":20000}`:                                                       true,
		`0{"sid":"s","pingInterval":9223372036854775807,"pingTimeout":9223372036854775807,"maxPayload":1}`:            true,
		`0{"sid":"s","pingInterval":1e300,"pingTimeout":1e300,"maxPayload":1e21}`:                                     true,
		`0{"sid":"s","pingInterval":2.5e4,"pingTimeout":20000.5,"maxPayload":-5}`:                                     true,
		`0{"sid":"s","pingInterval":25000,"pingTimeout":20000,"maxPayload":0}`:                                        true,
		`0{"sid":"s","pingInterval":25000,"pingTimeout":20000,"maxPayload":null,"upgrades":null}`:                     true,
		`0{"sid":"s","upgrades":["` + strings.Repeat(`x","`, 10_000) + `"],"pingInterval":25000,"pingTimeout":20000}`: true,
		`0{"sid":"s","pingInterval":0,"pingTimeout":20000}`:                                                           false,
		`0{"sid":"s","pingInterval":-1,"pingTimeout":20000}`:                                                          false,
		`0{"sid":"s","pingInterval":"25000","pingTimeout":20000}`:                                                     false,
		`0{"sid":"s"}`: false,
		`0{"sid":1,"pingInterval":25000,"pingTimeout":20000}`:  false,
		`0{"sid":"","pingInterval":25000,"pingTimeout":20000}`: false,
		`0[]`: false, `0`: false, `6`: false, `4`: false, `2`: false, `x`: false, ``: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			var r rogue
			r.ws = func(c *rogueConn) {
				if c.send(open) && c.next() == "40" && c.send(`40{"sid":"a"}`) {
					c.drain()
				}
			}
			s := newSocket(t, r.dialer(t), "/", once("websocket"))
			err := s.Connect(context.Background())
			if (err == nil) != ok {
				t.Errorf("%.80s: %v", open, err)
			}
			if err == nil {
				time.Sleep(40 * time.Second)
				if !s.Connected() {
					t.Errorf("%.80s: the client has given the session up", open)
				}
			}
		})
	}
}

// What a server sends before the client has read its open packet is bounded.
func TestEndlessFirstMessage(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	r := rogue{ws: func(c *rogueConn) {
		n, _ := c.Write(frame(2, strings.Repeat("x", 1<<27))) // in memory, each read of the client is full
		sent.Store(int64(n))
	}}
	o := once("websocket")
	o.MaxMessageSize = 100_000
	s := newSocket(t, r.dialer(t), "/", o)
	if err := s.Connect(within(t)); err == nil {
		t.Error("no error")
	}
	shutdown(t, s)
	if n := sent.Load(); n > 1<<20 {
		t.Errorf("the client has taken %d bytes", n)
	}
}

// An open packet may fill the client's first read to the last byte.
func TestOpenPacketOfAnySize(t *testing.T) {
	t.Parallel()
	for n := 3990; n < 4110; n++ {
		r := rogue{ws: func(c *rogueConn) {
			open := `0{"sid":"` + strings.Repeat("s", n) + `","pingInterval":25000,"pingTimeout":20000}`
			if c.send(open) && c.next() == "40" && c.send(`40{"sid":"a"}`) {
				c.drain()
			}
		}}
		o := once("websocket")
		s := newSocket(t, loopback(t, &r), "/", o)
		if err := s.Connect(within(t)); err != nil {
			t.Error(n, err)
		}
		shutdown(t, s)
	}
}

// A server that sends pings and reads nothing gets few pongs, and a function that is told
// of them slows it down.
func TestPingFlood(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string][]byte{"Engine.IO": frame(1, "2"), "WebSocket": frame(9, strings.Repeat("x", 125))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rogue{ws: func(c *rogueConn) {
				if !c.accept() {
					return
				}
				many := bytes.Repeat(packet, 1000)
				for range 1000 {
					if _, err := c.Write(many); err != nil {
						return
					}
				}
				c.send(`42["done"]`)
				c.drain()
			}}
			s := newSocket(t, r.dialer(t), "/", once("websocket"))
			done := make(chan uint64, 1)
			s.On("done", func(*sioclient.Ctx) error { done <- heap(); return nil })
			before := heap()
			if err := s.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			if after := wait(t, done); after > before+(16<<20) {
				t.Errorf("%d bytes of memory more", after-before)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestPingFloodAndASlowHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		r := rogue{ws: func(c *rogueConn) {
			if !c.accept() {
				return
			}
			go c.drain()
			for c.send("2") {
				if sent.Add(1) > 100_000 {
					return
				}
			}
		}}
		o := once("websocket")
		o.MaxPendingEvents = 10
		o.Hooks.Ping = func() { time.Sleep(time.Second) }
		s := newSocket(t, r.dialer(t), "/", o)
		if err := s.Connect(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if n := sent.Load(); n > 10_000 {
			t.Errorf("%d pings were read while the hook was told of 10", n)
		}
		s.Disconnect()
		time.Sleep(time.Hour)
	})
}

// A server that wants acks and reads nothing loses the connection. The application's log
// does not fill.
func TestAckFlood(t *testing.T) {
	t.Parallel()
	r := rogue{ws: func(c *rogueConn) {
		if !c.accept() {
			return
		}
		for i := range 1_000_000 {
			if !c.send(fmt.Sprintf(`42%d["big"]`, i)) {
				return
			}
		}
	}}
	var log lockedBuffer
	o := once("websocket")
	o.MaxSendBuffer = 1 << 20
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	s := newSocket(t, r.dialer(t), "/", o)
	big := strings.Repeat("x", 10_000)
	s.On("big", sioclient.Reply(func(*sioclient.Ctx, struct{}) (string, error) { return big, nil }))
	lost := make(chan sioclient.Reason, 1)
	s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if r := wait(t, lost); r != sioclient.ReasonTransportError {
		t.Error(r)
	}
	shutdown(t, s)
	if got := log.String(); got != "" {
		t.Errorf("the log: %.500s", got)
	}
}

// A lockedBuffer is the output of a logger.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// An ack that was never asked for, has no id, or comes twice, disturbs no other.
func TestAcksThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := rogue{ws: func(c *rogueConn) {
			if c.accept() && c.next() == `420["a"]` && c.next() == `421["b"]` &&
				c.send(`43[9]`, `437[9]`, `439007199254740991[9]`, `431[2]`, `431[9]`, `430[1]`, `430[9]`) {
				c.drain()
			}
		}}
		s := newSocket(t, r.dialer(t), "/", once("websocket"))
		if err := s.Connect(context.Background()); err != nil {
			t.Fatal(err)
		}
		a, errA := sioclient.Ask[int](s, "a")
		b, errB := sioclient.Ask[int](s, "b")
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		va, errA := a.Wait(ctx)
		vb, errB := b.Wait(ctx)
		if va != 1 || vb != 2 || errA != nil || errB != nil {
			t.Error(va, errA, vb, errB)
		}
	})
}

// An event without an ack that is dropped from the buffer leaves the others' acks alone.
func TestDroppedEventsLeaveAcksAlone(t *testing.T) {
	t.Parallel()
	o := once("websocket")
	o.DropOldest, o.MaxSendBuffer = true, 100_000
	s := newSocket(t, loopback(t, newServer(nil)), "/", o)
	if err := s.Emit("unknown", strings.Repeat("x", 60_000)); err != nil {
		t.Fatal(err)
	}
	a, err := sioclient.Ask[int](s, "echo", 7)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("unknown", strings.Repeat("x", 60_000)); err != nil { // the first event makes room
		t.Fatal(err)
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if v, err := a.Wait(ctx); v != 7 || err != nil || s.Dropped() != 1 {
		t.Error(v, err, s.Dropped())
	}
}

// An answer to CONNECT without an id is an error, once, however often it comes.
func TestCLI_OP_21_ConnectWithoutID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := rogue{ws: func(c *rogueConn) {
			if !c.send(openPacket) || c.next() != "40" {
				return
			}
			for range 1000 {
				if !c.send(`40{}`) {
					return
				}
			}
			for c.next() == "40" {
				c.send(`40{"sid":"a"}`)
			}
		}}
		s := newSocket(t, r.dialer(t), "/", once("websocket"))
		var failures atomic.Int64
		s.OnConnectError(func(*sioclient.Socket, error) { failures.Add(1) })
		if err := s.Connect(context.Background()); err == nil || !strings.Contains(err.Error(), "version 2") {
			t.Error(err)
		}
		synctest.Wait()
		if n := failures.Load(); n != 1 || !s.Active() {
			t.Errorf("%d errors, active: %t", n, s.Active())
		}
		if err := s.Connect(context.Background()); err != nil { // CONNECT is sent again
			t.Error(err)
		}
	})
}

// Packets for namespaces that were never asked for, or that are out of order, are ignored.
func TestPacketsOutOfOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := rogue{ws: func(c *rogueConn) {
			if !c.send(openPacket) || c.next() != "40" {
				return
			}
			early := []string{`40/x,{"sid":"x"}`, `41/x,`, `44/x,{"message":"no"}`, `42/x,["n"]`, `43/x,1[1]`, "6", "3probe", "0{}", "5"}
			late := []string{`40{"sid":"b"}`, `44{"message":"no"}`, `40{}`}
			if !c.send(early...) || !c.send(`40{"sid":"a"}`) || !c.send(late...) || !c.send(early...) || !c.send(`42["done"]`) {
				return
			}
			c.drain()
		}}
		s := newSocket(t, r.dialer(t), "/", once("websocket"))
		done := make(chan bool, 1)
		s.On("done", func(*sioclient.Ctx) error { done <- true; return nil })
		if err := s.Connect(context.Background()); err != nil {
			t.Fatal(err)
		}
		<-done
		if s.ID() != "a" || !s.Connected() {
			t.Error(s.ID())
		}
	})
}

// A server that is silent in the middle of a packet is one that is silent.
func TestAttachmentsThatNeverCome(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		messages []string
		reason   sioclient.Reason
		after    time.Duration
	}{
		"silence":             {[]string{`451-["e",{"_placeholder":true,"num":0}]`}, sioclient.ReasonPingTimeout, 45 * time.Second},
		"another packet":      {[]string{`451-["e",{"_placeholder":true,"num":0}]`, `42["e"]`}, sioclient.ReasonParseError, 0},
		"too many":            {[]string{`4511-["e"]`}, sioclient.ReasonParseError, 0},
		"an absurd number":    {[]string{`459999999999999999999-["e"]`}, sioclient.ReasonParseError, 0},
		"no such placeholder": {[]string{`451-["e",{"_placeholder":true,"num":5}]`, "b"}, sioclient.ReasonParseError, 0},
		"deep":                {[]string{`42["e",` + strings.Repeat("[", 1_000_000)}, sioclient.ReasonParseError, 0},
		"an absurd id":        {[]string{`4318446744073709551615[9]`}, sioclient.ReasonParseError, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := rogue{ws: func(c *rogueConn) {
					if c.accept() && c.send(tt.messages...) {
						c.drain()
					}
				}}
				s := newSocket(t, r.dialer(t), "/", once("websocket"))
				lost := make(chan sioclient.Reason, 1)
				s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
				start := time.Now()
				if err := s.Connect(context.Background()); err != nil {
					t.Fatal(err)
				}
				if r := <-lost; r != tt.reason || time.Since(start) != tt.after {
					t.Errorf("%q after %v", r, time.Since(start))
				}
			})
		})
	}
}

// CLI-EV-8: a connection that ends before the answer to CONNECT is a failure to connect,
// and no disconnect.
func TestCLI_EV_8_LostBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := rogue{ws: func(c *rogueConn) {
			if c.send(openPacket) {
				c.next()
			}
		}}
		s := newSocket(t, r.dialer(t), "/", once("websocket"))
		var story []string
		s.OnConnectError(func(*sioclient.Socket, error) { story = append(story, "connect_error") })
		s.OnDisconnect(func(*sioclient.Socket, sioclient.Reason) { story = append(story, "disconnect") })
		err := s.Connect(context.Background())
		synctest.Wait()
		if !errors.Is(err, sioclient.ErrDisconnected) || fmt.Sprint(story) != "[connect_error]" {
			t.Error(err, story)
		}
	})
}

// A server that floods a socket before it accepts it loses the connection.
func TestFloodBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	r := rogue{ws: func(c *rogueConn) {
		if !c.send(openPacket) || c.next() != "40" {
			return
		}
		for c.send(`42["e","` + strings.Repeat("x", 1000) + `"]`) { // until the client has gone
		}
	}}
	s := newSocket(t, r.dialer(t), "/", once("websocket"))
	if err := s.Connect(within(t)); err == nil || !strings.Contains(err.Error(), "too many events") {
		t.Error(err)
	}
}
