package faults_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// chatty sets handlers for clients that are sent much: "join" joins the room "all", and
// "flood" emits numbers, from one to another, with so many bytes each, to all in the room.
func chatty(s *site) {
	s.srv.On("join", func(c *sio.Ctx) error {
		if err := c.Join("all"); err != nil {
			return err
		}
		return c.Ack()
	})
	s.srv.On("flood", func(c *sio.Ctx) error {
		var from, to, size int
		if err := c.Bind(&from, &to, &size); err != nil {
			return err
		}
		for i := from; i < to; i++ {
			if err := c.Namespace().To("all").Emit("number", i, strings.Repeat("x", size)); err != nil {
				return err
			}
		}
		return c.Ack()
	})
}

// flood has the observer start a flood, and get all of it in order.
func (s *site) flood(from, to, size int) {
	s.t.Helper()
	done := s.observer.Ask("flood", from, to, size)
	for i := from; i < to; i++ {
		var got int
		if s.observer.Expect("number", &got); got != i {
			s.t.Fatalf("the observer got %d, want %d", got, i)
		}
	}
	if err := done.Err(); err != nil {
		s.t.Fatal(err)
	}
}

// join has the observer be one of those who are sent much.
func (s *site) join() {
	s.t.Helper()
	if err := s.observer.Ask("join").Err(); err != nil {
		s.t.Fatal(err)
	}
}

// A client does not read. When MaxSendBuffer is used up, it is disconnected, over both
// transports. Others get everything, and the memory comes back.
func TestStalledReaderEndsAtMaxSendBuffer(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		const size, limit = 32 << 10, 1 << 20
		s := start(t, m, sio.Options{MaxSendBuffer: limit}, chatty)
		s.join()
		before := heap()
		ws := openWebSocket(t, s.proxy.Addr())
		ws.send(text(`421["join"]`))
		ws.want("431[]")
		sid := openPolling(t, s.addr)
		wantAnswer(t, s.addr, http.MethodPost, sid, `421["join"]`, http.StatusOK, "ok")
		wantAnswer(t, s.addr, http.MethodGet, sid, "", http.StatusOK, "431[]")
		heal := s.proxy.Partition() // for the WebSocket; the other one does not poll
		for from := 0; s.ended(sio.ReasonTransportError) < 2; from += 8 {
			if from > 100_000 { // what networks keep is some megabytes
				t.Fatalf("%d have ended", s.ended(sio.ReasonTransportError))
			}
			s.flood(from, from+8, size)
		}
		heal()
		ws.drain()
		_ = ws.Close()
		s.settle(sio.ReasonTransportError)
		if after := heap(); after > before+limit+4<<20 {
			t.Errorf("heap of %d bytes, then %d", before, after)
		}
		s.join() // so that a room is left, as before
	})
}

// A client does not read for a while, and less than MaxSendBuffer waits for it: it gets
// everything, in order.
func TestStalledReaderComesBack(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, chatty)
		s.join()
		var clients []*sioclient.Socket
		got := make(chan int, 1000)
		for _, transport := range []string{sioclient.Polling, sioclient.WebSocket} {
			c := s.client(sioclient.Options{Transports: []string{transport}})
			c.On("number", sioclient.Bind(func(_ *sioclient.Ctx, n int) error { got <- n; return nil }))
			if err := c.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			if _, err := c.EmitWithAck(within(t), "join"); err != nil {
				t.Fatal(err)
			}
			clients = append(clients, c)
		}
		const events = 40
		heal := s.proxy.Partition()
		s.flood(0, events, 16<<10)
		heal()
		sum := make(map[int]int)
		for range 2 * events {
			sum[wait(t, got)]++
		}
		for i := range events {
			if sum[i] != 2 {
				t.Errorf("%d came %d times", i, sum[i])
			}
		}
		for _, c := range clients {
			leave(t, c)
		}
		s.settle(sio.ReasonClientNamespaceDisconnect)
	})
}

// A client that does not read, and is sent little, ends by its heartbeat, to the
// nanosecond.
func TestStalledReaderEndsByItsHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := sio.New(nil)
		defer func() { _ = srv.Shutdown(context.WithoutCancel(t.Context())) }()
		ended := make(chan sio.Reason, 1)
		srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { ended <- r })
		conn, err := siotest.Pipes(t, srv).Dial(t.Context(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		c := newRaw(t, conn)
		began := time.Now()
		c.send(webSocketRequest(""), text("40"))
		if !c.connected() {
			t.Fatal("not connected")
		}
		if err := srv.Emit("little"); err != nil { // nothing takes it: a pipe has no buffer
			t.Fatal(err)
		}
		reason := <-ended
		if took := time.Since(began); reason != sio.ReasonPingTimeout || took != pingInterval+pingTimeout {
			t.Errorf("ended after %v: %s", took, reason)
		}
		c.drain()
		time.Sleep(time.Minute) // in which the server gives the connection up
		if n := srv.ClientsCount(); n != 0 {
			t.Errorf("%d clients", n)
		}
	})
}
