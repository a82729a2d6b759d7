package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	"github.com/sioplug/sioplug/test/network"
)

// fast are options that connect again soon.
func fast(o sioclient.Options) sioclient.Options {
	o.ReconnectionDelay, o.ReconnectionDelayMax = 10*time.Millisecond, 50*time.Millisecond
	return o
}

// faults run over all transports, and against all servers, behind a proxy.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, target := range targets() {
		t.Run(target.name, func(t *testing.T) {
			t.Parallel()
			for _, w := range ways() {
				t.Run(w.name, func(t *testing.T) {
					t.Parallel()
					// A busy machine may be silent for a second, which must not end the next connection.
					halfOpen := settings{PingInterval: 300, PingTimeout: 1000}
					halfOpenRecovery := settings{PingInterval: 300, PingTimeout: 1000, Recovery: true}
					for name, f := range map[string]struct {
						s   settings
						run func(t *testing.T, p *network.Proxy, o sioclient.Options)
					}{
						"cut CLI-EV-6 CLI-RC-4":                  {settings{}, faultCut},
						"refused CLI-EV-2":                       {settings{}, faultRefused},
						"attempts exhausted CLI-EV-3":            {settings{}, faultExhausted},
						"no reconnection CLI-EV-4":               {settings{}, faultNoReconnection},
						"timeout CLI-EV-5":                       {settings{}, faultTimeout},
						"close while waiting CLI-EV-9 CLI-EV-10": {settings{}, faultCloseWhileWaiting},
						"ping timeout CLI-TR-11":                 {settings{PingInterval: 200, PingTimeout: 150}, faultPingTimeout},
						"buffered in order and once":             {settings{}, faultBuffered},
						"recovery CLI-CSR-1 CLI-CSR-5":           {settings{Recovery: true}, faultRecovery},
						"acks at disconnect CLI-EM-6":            {settings{}, faultAcks},
						"retries over a cut CLI-EM-11":           {settings{}, faultRetries},
						"connect waits for the next result":      {settings{}, faultConnectAgain},
						"half-open CLI-TR-11":                    {halfOpen, faultHalfOpen},
						"half-open with recovery CLI-CSR-1":      {halfOpenRecovery, faultHalfOpenRecovery},
						"half-open with retries CLI-EM-9":        {halfOpen, faultHalfOpenRetries},
						"another server SIO-CL-4 SIO-CSR-5": {settings{Recovery: true}, func(t *testing.T, p *network.Proxy, o sioclient.Options) {
							faultAnotherServer(t, p, o, target.start(t, settings{Recovery: true}))
						}},
						"many cuts": {settings{Recovery: true}, faultManyCuts},
					} {
						t.Run(name, func(t *testing.T) { f.run(t, network.Start(t, target.start(t, f.s)), fast(w.o)) })
					}
				})
			}
		})
	}
}

// settle waits until a connected socket does not change its transport any more. A session
// that is about to change it may survive the loss of all connections.
func settle(t *testing.T, s *sioclient.Socket, o sioclient.Options) {
	t.Helper()
	for last := o.Transports[len(o.Transports)-1]; s.Manager().Transport() != last; {
		if _, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); err != nil {
			t.Fatal(err)
		}
	}
}

// isLoss reports whether the connection was lost: polling notices it as a failed request.
func isLoss(r sioclient.Reason) bool {
	return r == sioclient.ReasonTransportClose || r == sioclient.ReasonTransportError
}

func faultCut(t *testing.T, p *network.Proxy, o sioclient.Options) {
	o.ReconnectionDelay, o.ReconnectionDelayMax = 300*time.Millisecond, 300*time.Millisecond
	story := tell(&o)
	s := newSocket(t, p.URL(), o)
	story.of(s)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	id := s.ID()
	p.Refuse() // else net/http may repeat a poll that the server has not seen, and nothing is lost
	p.Cut()
	story.want(t, "M open", "S connect")
	lost := wait(t, story.c)
	reason, ok := strings.CutPrefix(lost, "S disconnect ")
	if !ok || !isLoss(sioclient.Reason(reason)) {
		t.Fatal(lost)
	}
	p.Accept()
	story.want(t, "M close "+reason, "M reconnect_attempt 1")
	n := 1
	for got := wait(t, story.c); got != "M open"; got = wait(t, story.c) { // the machine may be slow to accept
		if got == fmt.Sprintf("M reconnect_attempt %d", n+1) {
			n++
		}
	}
	story.want(t, fmt.Sprintf("M reconnect %d", n), "S connect")
	if s.ID() == id {
		t.Error("the id is the same")
	}
	if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); v != 1 || err != nil {
		t.Error(v, err)
	}
}

func faultRefused(t *testing.T, p *network.Proxy, o sioclient.Options) {
	p.Refuse()
	story := tell(&o)
	s := newSocket(t, p.URL(), o)
	story.of(s)
	if err := s.Connect(within(t)); err == nil || !s.Active() {
		t.Error(err, s.Active())
	}
	story.want(t, "S connect_error", "M error", "M reconnect_attempt 1", "S connect_error", "M error", "M reconnect_error", "M reconnect_attempt 2")
	p.Accept()
	for got := ""; got != "S connect"; {
		got = wait(t, story.c)
	}
}

func faultExhausted(t *testing.T, p *network.Proxy, o sioclient.Options) {
	p.Refuse()
	o.ReconnectionAttempts = 2
	story := tell(&o)
	s := newSocket(t, p.URL(), o)
	story.of(s)
	for range 2 {
		s.Open()
		story.want(t, "S connect_error", "M error",
			"M reconnect_attempt 1", "S connect_error", "M error", "M reconnect_error",
			"M reconnect_attempt 2", "S connect_error", "M error", "M reconnect_failed", "M reconnect_error")
		if s.Active() {
			t.Error("the socket is active")
		}
	}
	p.Accept()
	if err := s.Connect(within(t)); err != nil {
		t.Error(err)
	}
}

func faultNoReconnection(t *testing.T, p *network.Proxy, o sioclient.Options) {
	p.Refuse()
	o.DisableReconnection = true
	story := tell(&o)
	s := newSocket(t, p.URL(), o)
	story.of(s)
	if err := s.Connect(within(t)); err == nil || s.Active() {
		t.Error(err, s.Active())
	}
	story.want(t, "S connect_error", "M error")
	p.Accept()
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	p.Refuse()
	p.Cut()
	story.want(t, "M open", "S connect")
	if got := wait(t, story.c); !strings.HasPrefix(got, "S disconnect ") {
		t.Error(got)
	}
	if s.Active() {
		t.Error("the socket is active")
	}
}

func faultTimeout(t *testing.T, p *network.Proxy, o sioclient.Options) {
	p.Partition()
	o.Timeout = 50 * time.Millisecond
	s := newSocket(t, p.URL(), o)
	if err := s.Connect(within(t)); err == nil || !strings.HasPrefix(err.Error(), "timeout") {
		t.Error(err)
	}
	p.Heal()
	for ctx := within(t); s.Connect(ctx) != nil && ctx.Err() == nil; { //nolint:revive // each call waits for one attempt
	}
	if !s.Connected() {
		t.Error("not connected")
	}
}

func faultCloseWhileWaiting(t *testing.T, p *network.Proxy, o sioclient.Options) {
	p.Refuse()
	o.ReconnectionDelay, o.ReconnectionDelayMax = time.Hour, time.Hour
	story := tell(&o)
	s := newSocket(t, p.URL(), o)
	story.of(s)
	s.Open()
	story.want(t, "S connect_error", "M error")
	s.Open() // CLI-EV-9: it does not shorten the delay
	s.Disconnect()
	if s.Active() || len(story.c) > 0 {
		t.Error("the client goes on")
	}
	p.Accept()
	if err := s.Connect(within(t)); err != nil {
		t.Error(err)
	}
}

func faultPingTimeout(t *testing.T, p *network.Proxy, o sioclient.Options) {
	reasons := make(chan sioclient.Reason, 100)
	s := newSocket(t, p.URL(), o)
	s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { reasons <- r })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	p.Partition()
	if r := wait(t, reasons); r != sioclient.ReasonPingTimeout {
		t.Error(r)
	}
	p.Heal()
	if err := s.Connect(within(t)); err != nil {
		t.Error(err)
	}
}

func faultBuffered(t *testing.T, p *network.Proxy, o sioclient.Options) {
	lost, back := make(chan bool, 10), make(chan bool, 10)
	s := newSocket(t, p.URL(), o)
	s.OnDisconnect(func(*sioclient.Socket, sioclient.Reason) { lost <- true })
	s.OnConnect(func(*sioclient.Socket) { back <- true })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	wait(t, back)
	n := 0
	for range 3 {
		p.Refuse()
		p.Cut()
		wait(t, lost)
		for range 50 {
			if err := s.Emit("item", n, []byte{1}); err != nil {
				t.Fatal(err)
			}
			n++
		}
		p.Accept()
		wait(t, back)
		settle(t, s, o)
		if got := items(t, s); !isSequence(got, n) {
			t.Fatal(got)
		}
	}
}

func faultRecovery(t *testing.T, p *network.Proxy, o sioclient.Options) {
	other := connect(t, "http://"+p.Target(), sioclient.Options{})
	for range 10 {
		if recovers(t, p, o, other) {
			return
		}
	}
	t.Error("no session was recovered")
}

// recovers reports whether a session was recovered after a cut. Between two polls, a server
// may not notice that all connections of a client are gone.
func recovers(t *testing.T, p *network.Proxy, o sioclient.Options, other *sioclient.Socket) bool {
	t.Helper()
	s := newSocket(t, p.URL(), o)
	defer s.Disconnect()
	got := make(chan int, 100)
	back := make(chan int, 10) // how many events came before the connect
	s.On("news", sioclient.Bind(func(_ *sioclient.Ctx, i int) error { got <- i; return nil }))
	s.OnConnect(func(*sioclient.Socket) { back <- len(got) })
	lost := make(chan bool, 10)
	s.OnDisconnect(func(*sioclient.Socket, sioclient.Reason) { lost <- true })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	if err := s.Emit("all", "news", 1); err != nil {
		t.Fatal(err)
	}
	wait(t, got)
	wait(t, back)
	id := s.ID()
	for range 5 { // meanwhile, the next poll reaches the server
		if _, err := sioclient.EmitWithAck[int](within(t), other, "echo", 1); err != nil {
			t.Fatal(err)
		}
	}
	p.Refuse()
	p.Cut()
	wait(t, lost)
	for i := range 3 {
		if err := other.Emit("all", "news", 2+i); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sioclient.EmitWithAck[int](within(t), other, "echo", 1); err != nil {
		t.Fatal(err)
	}
	p.Accept()
	n := wait(t, back)
	if !s.Recovered() {
		return false
	}
	if n != 3 {
		t.Errorf("%d missed events came before the connect", n)
	}
	for i := range 3 {
		if v := wait(t, got); v != 2+i {
			t.Errorf("%d, want %d", v, 2+i)
		}
	}
	if s.ID() != id {
		t.Errorf("id %q, was %q", s.ID(), id)
	}
	return true
}

func faultAcks(t *testing.T, p *network.Proxy, o sioclient.Options) {
	s := newSocket(t, p.URL(), o)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	a, err := sioclient.Ask[int](s, "lost", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	p.Refuse()
	p.Cut()
	var why *sioclient.DisconnectError
	if _, err := a.Wait(within(t)); !errors.As(err, &why) || !isLoss(why.Reason) || !errors.Is(err, sioclient.ErrDisconnected) {
		t.Error(err)
	}
}

func faultRetries(t *testing.T, p *network.Proxy, o sioclient.Options) {
	o.Retries = 3
	s := newSocket(t, p.URL(), o)
	lost := make(chan bool, 10)
	s.OnDisconnect(func(*sioclient.Socket, sioclient.Reason) { lost <- true })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	p.Refuse()
	p.Cut()
	wait(t, lost)
	var answers []*sioclient.Answer[int]
	for i := range 10 {
		a, err := sioclient.Ask[int](s, "item", i)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	p.Accept()
	for i, a := range answers {
		if v, err := a.Wait(within(t)); v != i || err != nil {
			t.Error(i, v, err)
		}
	}
	if got := items(t, s); !isSequence(got, 10) {
		t.Error(got)
	}
}

func faultConnectAgain(t *testing.T, p *network.Proxy, o sioclient.Options) {
	p.Refuse()
	s := newSocket(t, p.URL(), o)
	for range 3 {
		if err := s.Connect(within(t)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	p.Accept()
	for ctx := within(t); s.Connect(ctx) != nil && ctx.Err() == nil; { //nolint:revive // each call waits for one attempt
	}
	if !s.Connected() {
		t.Error("not connected")
	}
}
