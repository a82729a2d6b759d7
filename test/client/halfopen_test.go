package client_test

import (
	"testing"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	"github.com/sioplug/sioplug/test/network"
)

// In a half-open connection, each end believes that the other one is there: there is no
// FIN and no RST. Only the missing pings tell.

// firstAttempt is told when an attempt to connect again has failed. The first one finds a
// network that works, unless it is sent on a connection that is half-open.
func firstAttempt(t *testing.T) func(err error) {
	t.Helper()
	return func(err error) { t.Errorf("an attempt to connect again has failed: %v", err) }
}

// halfOpen connects a socket and has its connections become half-open.
func halfOpen(t *testing.T, p *network.Proxy, o sioclient.Options) (s *sioclient.Socket, lost chan sioclient.Reason, back chan bool) {
	t.Helper()
	o.Hooks.ReconnectError = firstAttempt(t)
	lost, back = make(chan sioclient.Reason, 10), make(chan bool, 10)
	s = newSocket(t, p.URL(), o)
	s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
	s.OnConnect(func(*sioclient.Socket) { back <- true })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	wait(t, back)
	p.Swallow()
	return s, lost, back
}

func faultHalfOpen(t *testing.T, p *network.Proxy, o sioclient.Options) {
	s, lost, back := halfOpen(t, p, o)
	id := s.ID()
	if r := wait(t, lost); r != sioclient.ReasonPingTimeout {
		t.Errorf("reason %q", r)
	}
	for i := range 50 {
		if err := s.Emit("item", i, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, back)
	if got := items(t, s); !isSequence(got, 50) {
		t.Errorf("the server got %v", got)
	}
	if s.ID() == id {
		t.Error("the id is the same")
	}
}

func faultHalfOpenRecovery(t *testing.T, p *network.Proxy, o sioclient.Options) {
	// The server has to notice as well: the official one has no session to recover before.
	o.ReconnectionDelay, o.ReconnectionDelayMax = 2*time.Second, 2*time.Second
	o.Hooks.ReconnectError = firstAttempt(t)
	other := connect(t, "http://"+p.Target(), sioclient.Options{})
	news := make(chan int, 100)
	s := newSocket(t, p.URL(), o)
	s.On("news", sioclient.Bind(func(_ *sioclient.Ctx, i int) error { news <- i; return nil }))
	lost, back := make(chan sioclient.Reason, 10), make(chan bool, 10)
	s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
	s.OnConnect(func(s *sioclient.Socket) { back <- s.Recovered() })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	wait(t, back)
	id := s.ID()
	if err := other.Emit("all", "news", 0); err != nil {
		t.Fatal(err)
	}
	wait(t, news)
	p.Swallow()
	for i := range 10 { // these vanish
		if err := other.Emit("all", "news", i+1); err != nil {
			t.Fatal(err)
		}
	}
	if r := wait(t, lost); r != sioclient.ReasonPingTimeout {
		t.Errorf("reason %q", r)
	}
	for i := range 10 { // and these are for nobody
		if err := other.Emit("all", "news", i+11); err != nil {
			t.Fatal(err)
		}
		if err := s.Emit("item", i); err != nil {
			t.Fatal(err)
		}
	}
	if !wait(t, back) || s.ID() != id {
		t.Errorf("the session was not recovered: id %q, was %q", s.ID(), id)
	}
	for i := range 20 {
		if v := wait(t, news); v != i+1 {
			t.Errorf("news %d, want %d", v, i+1)
		}
	}
	if got := items(t, s); !isSequence(got, 10) {
		t.Errorf("the server got %v", got)
	}
	if len(news) > 0 {
		t.Errorf("once more: %d", <-news)
	}
}

// With Retries, what was emitted into the half-open connection is sent again.
func faultHalfOpenRetries(t *testing.T, p *network.Proxy, o sioclient.Options) {
	o.Retries = 5
	s, lost, _ := halfOpen(t, p, o)
	var answers []*sioclient.Answer[int]
	for i := range 20 {
		a, err := sioclient.Ask[int](s, "item", i)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if r := wait(t, lost); r != sioclient.ReasonPingTimeout {
		t.Errorf("reason %q", r)
	}
	for i, a := range answers {
		if v, err := a.Wait(within(t)); v != i || err != nil {
			t.Error(i, v, err)
		}
	}
	if got := items(t, s); !isSequence(got, 20) {
		t.Errorf("the server got %v", got)
	}
}

// faultAnotherServer has the client come back to a server that does not know it, as after
// a restart.
func faultAnotherServer(t *testing.T, p *network.Proxy, o sioclient.Options, next string) {
	s := newSocket(t, p.URL(), o)
	lost, back := make(chan bool, 10), make(chan bool, 10)
	s.OnDisconnect(func(*sioclient.Socket, sioclient.Reason) { lost <- true })
	s.OnConnect(func(s *sioclient.Socket) { back <- s.Recovered() })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	wait(t, back)
	if err := s.Emit("all", "news"); err != nil { // the client has an offset then
		t.Fatal(err)
	}
	if _, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); err != nil {
		t.Fatal(err)
	}
	p.Refuse()
	p.Cut()
	wait(t, lost)
	for i := range 10 {
		if err := s.Emit("item", i); err != nil {
			t.Fatal(err)
		}
	}
	p.Redirect(next)
	p.Accept()
	if wait(t, back) {
		t.Error("a server that knows nothing has recovered the session")
	}
	if got := items(t, s); !isSequence(got, 10) {
		t.Errorf("the new server got %v", got)
	}
}

// faultManyCuts cuts the connection again and again, while another client emits. Nothing is
// lost or doubled while sessions are recovered.
func faultManyCuts(t *testing.T, p *network.Proxy, o sioclient.Options) {
	other := connect(t, "http://"+p.Target(), sioclient.Options{})
	news := make(chan int, 1000)
	s := newSocket(t, p.URL(), o)
	s.On("news", sioclient.Bind(func(_ *sioclient.Ctx, i int) error { news <- i; return nil }))
	lost, back := make(chan bool, 10), make(chan bool, 10)
	s.OnDisconnect(func(*sioclient.Socket, sioclient.Reason) { lost <- true })
	s.OnConnect(func(s *sioclient.Socket) { back <- s.Recovered() })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	wait(t, back)
	sent, next := 0, 0
	for range 5 {
		settle(t, s, o)
		for range 20 {
			if err := other.Emit("all", "news", sent); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		p.Refuse()
		p.Cut()
		wait(t, lost)
		if _, err := sioclient.EmitWithAck[int](within(t), other, "echo", 1); err != nil {
			t.Fatal(err)
		}
		p.Accept()
		if !wait(t, back) { // a server may not notice between two polls: then the session is new
			for next = sent; len(news) > 0; {
				<-news
			}
			continue
		}
		for ; next < sent; next++ {
			if v := wait(t, news); v != next {
				t.Fatalf("news %d, want %d", v, next)
			}
		}
	}
	if len(news) > 0 {
		t.Errorf("once more: %d", <-news)
	}
}
