package soak_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
)

// visitTime is how long a visit may take.
const visitTime = time.Minute

// Counts of what the clients have done.
type counts struct {
	connects, acks, heard, upgrades, cuts, recovered atomic.Int64

	mu   sync.Mutex
	errs []error
}

// maxErrors is how many errors are kept.
const maxErrors = 20

func (c *counts) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errs) < maxErrors {
		c.errs = append(c.errs, err)
	}
}

func (c *counts) String() string {
	return fmt.Sprintf("%d connects (%d upgrades, %d cut off, of these %d recovered), %d acks, %d broadcasts received",
		c.connects.Load(), c.upgrades.Load(), c.cuts.Load(), c.recovered.Load(), c.acks.Load(), c.heard.Load())
}

// A wire is the connections of one client, which can be cut.
type wire struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.conns = append(w.conns, c)
	}
	return c, err
}

// cut closes all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// visit is one client's life. It connects to a server in some way, does a bit of
// everything, stays for a while, and leaves.
func visit(ctx context.Context, servers []server, n int64, stay time.Duration, c *counts) error {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	var w wire
	upgraded := make(chan error, 10)
	connected := make(chan bool, 10) // whether the session was recovered
	opts := &sioclient.Options{
		DialContext:       w.dial,
		ReconnectionDelay: 10 * time.Millisecond,
		Logger:            slog.New(slog.DiscardHandler),
		Hooks:             sioclient.Hooks{Upgrade: func(err error) { upgraded <- err }},
	}
	way := n % 4 // half of them are upgraded, as those of browsers
	switch way {
	case 0:
		opts.Transports = []string{sioclient.WebSocket}
	case 1:
		opts.Transports = []string{sioclient.Polling}
	default:
		opts.Transports = []string{sioclient.Polling, sioclient.WebSocket}
	}
	url := servers[rand.IntN(len(servers))].url
	if n%20 == 0 {
		url += fmt.Sprint("/game-", n) // a namespace of its own
	}
	s, err := sioclient.New(url, opts)
	if err != nil {
		return err
	}
	defer func() { _ = s.Manager().Shutdown(context.WithoutCancel(ctx)) }()
	own := make(chan error, 1) // has an element if the client has heard itself
	s.On("said", sioclient.Bind(func(_ *sioclient.Ctx, from string) error {
		c.heard.Add(1)
		if from == s.ID() {
			own <- nil
		}
		return nil
	}))
	s.On("question", sioclient.Reply(func(_ *sioclient.Ctx, n int) (int, error) { return n + 1, nil }))
	s.OnConnect(func(s *sioclient.Socket) { connected <- s.Recovered() })
	if err := s.Connect(ctx); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	<-connected
	c.connects.Add(1)
	if err := talk(ctx, s, n, own, c); err != nil {
		return err
	}
	if way > 1 {
		if err := await(ctx, upgraded); err != nil {
			return fmt.Errorf("upgrading: %w", err)
		}
		c.upgrades.Add(1)
	}
	select {
	case <-time.After(stay/2 + rand.N(stay)):
	case <-ctx.Done():
		return ctx.Err()
	}
	if n%8 != 0 && n%8 != 3 { // one that begins with WebSocket, and one that has moved to it
		return nil
	}
	c.cuts.Add(1)
	w.cut()
	select {
	case recovered := <-connected:
		c.connects.Add(1)
		if recovered {
			c.recovered.Add(1)
		}
	case <-ctx.Done():
		return fmt.Errorf("after a cut: %w", ctx.Err())
	}
	return talk(ctx, s, n, own, c)
}

func await(ctx context.Context, c <-chan error) error {
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// talk exchanges events and acknowledgements of all kinds.
func talk(ctx context.Context, s *sioclient.Socket, n int64, own <-chan error, c *counts) error {
	const rooms = 200
	room := fmt.Sprint("room ", n%rooms)
	if _, err := s.EmitWithAck(ctx, "join", room); err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	if err := s.Emit("say", room); err != nil {
		return err
	}
	if err := await(ctx, own); err != nil { // without an event that is kept, no session can be recovered
		return fmt.Errorf("hearing itself: %w", err)
	}
	text := fmt.Sprint("text of ", n)
	if got, err := sioclient.EmitWithAck[string](ctx, s, "echo", text); err != nil || got != text {
		return fmt.Errorf("echo of %q: %q, %w", text, got, err)
	}
	sent := bytes.Repeat([]byte{byte(n)}, 1024)
	if got, err := sioclient.EmitWithAck[[]byte](ctx, s, "bytes", sent); err != nil || !bytes.Equal(got, sent) {
		return fmt.Errorf("binary data: %d bytes, %w", len(got), err)
	}
	if got, err := sioclient.EmitWithAck[int](ctx, s, "ask me"); err != nil || got != 21 {
		return fmt.Errorf("an ack of the client: %d, %w", got, err)
	}
	c.acks.Add(5)
	return nil
}

// churn lets clients come and go until a number of them were there, or the time is over.
func (r soak) churn(ctx context.Context, servers []server, visits int64, c *counts) {
	var next atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range r.workers {
		all.Go(func() {
			for n := next.Add(1); n <= visits && ctx.Err() == nil; n = next.Add(1) {
				select {
				case <-time.After(time.Until(start.Add(time.Duration(n) * r.pace))):
				case <-ctx.Done():
					return
				}
				if err := visit(ctx, servers, n, r.stay, c); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
					c.fail(fmt.Errorf("visit %d: %w", n, err))
				}
			}
		})
	}
	all.Wait()
}
