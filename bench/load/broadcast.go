package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// A broadcast goes in rounds: something makes the server send a burst to every
// client, and the round is over when all have got it.
type broadcast struct {
	*run

	messages [][]byte     // of a burst
	due      atomic.Int64 // deliveries to each client, by the end of this round
	missing  atomic.Int64 // deliveries to all clients, in this round
	complete chan struct{}
	leaving  atomic.Bool // the clients close, and will be closed
}

func newBroadcast(r *run) *broadcast {
	b := &broadcast{run: r, complete: make(chan struct{}, 1)}
	pad := strings.Repeat("x", r.size)
	for i := range r.burst {
		b.messages = append(b.messages, fmt.Appendf(nil, `42["b",%d,"%s"]`, i, pad))
	}
	return b
}

// receive checks what a client gets: each message once, and in order.
func (b *broadcast) receive(_ int, c *wsClient) error {
	for got := 0; ; got++ {
		err := expect(c, ws.OpText, b.messages[got%len(b.messages)])
		switch {
		case errors.Is(err, errClosed) && b.leaving.Load():
			return c.conn.Close()
		case err != nil:
			return fmt.Errorf("delivery %d: %w", got, err)
		case int64(got) >= b.due.Load():
			return fmt.Errorf("delivery %d came twice, or unasked", got)
		}
		b.units.Add(1)
		if b.missing.Add(-1) == 0 {
			b.complete <- struct{}{}
		}
	}
}

// rounds triggers rounds, and measures them after a while. A trigger is told the
// number of the round.
func (b *broadcast) rounds(ctx context.Context, trigger func(n int) error) {
	var last times
	n := 0
	during := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; n++ {
			last.add(b.round(ctx, func() error { return trigger(n) }))
		}
	}
	during(b.warm)
	last.take(b.values)
	from := b.sample(ctx)
	during(b.dur)
	b.since(ctx, from)
	last.take(b.values)
	wait(ctx, 50*time.Millisecond) // for what is too much
}

func (b *broadcast) round(ctx context.Context, trigger func() error) time.Duration {
	defer b.withinOr(func() error {
		return fmt.Errorf("a round took longer than %s: %d of %d deliveries are missing", b.patience, b.missing.Load(), len(b.messages)*b.clients)
	})()
	b.due.Add(int64(len(b.messages)))
	b.missing.Store(int64(len(b.messages) * b.clients))
	start := time.Now()
	b.check(trigger())
	select {
	case <-b.complete:
	case <-ctx.Done():
	}
	return time.Since(start)
}

// broadcastToAll is a scenario in which the first client has the server send to
// all of them.
func broadcastToAll(ctx context.Context, r *run) {
	b := newBroadcast(r)
	r.fanout = r.clients
	clients := open(ctx, r, r.connect, b.receive)
	b.rounds(ctx, func(int) error {
		return clients[0].post(ws.OpText, fmt.Appendf(nil, `42["bcast",%d,%d]`, r.burst, r.size))
	})
}

// roomSize is how many clients are in one room.
const roomSize = 10

func roomName(client, n int) string {
	return "r" + strconv.Itoa(client/roomSize) + "-" + strconv.Itoa(n)
}

// broadcastToRooms is a scenario in which one client of each ten has the server
// send to a room of the ten. Before that, the costs of joining are measured, and
// after it those of leaving.
func broadcastToRooms(ctx context.Context, r *run) {
	if r.clients%roomSize != 0 {
		r.fail(fmt.Errorf("-clients must be a multiple of %d", roomSize))
		return
	}
	r.fanout = roomSize
	b, s := newBroadcast(r), textScript(r.size)
	start := make(chan struct{})
	joined := make(chan struct{}, r.clients)
	clients := open(ctx, r, r.connect, func(id int, c *wsClient) error {
		if _, err := begin(c, id, s); err != nil {
			return err
		}
		<-start
		if err := joinRooms(id, c, r.rooms); err != nil {
			return fmt.Errorf("joining: %w", err)
		}
		joined <- struct{}{}
		return b.receive(id, c)
	})
	b.memberships(ctx, func() {
		close(start)
		for range clients {
			select {
			case <-joined:
			case <-ctx.Done():
			}
		}
	})
	b.rounds(ctx, func(n int) error {
		var err error
		for id := 0; id < len(clients) && err == nil; id += roomSize {
			err = clients[id].post(ws.OpText, fmt.Appendf(nil, `42["room",%q,%d,%d]`, roomName(id, n%r.rooms), r.burst, r.size))
		}
		return err
	})
	b.leave(ctx, clients)
}

// joinRooms joins a client to its rooms, and has a few joins in flight.
func joinRooms(id int, c *wsClient, n int) error {
	const window = 16
	asked := 0
	for answered := range n {
		for ; asked < min(answered+window, n); asked++ {
			c.send(ws.OpText, fmt.Appendf(nil, `42%d["join",%q]`, asked, roomName(id, asked)))
		}
		if err := expect(c, ws.OpText, fmt.Appendf(nil, `43%d[]`, answered)); err != nil {
			return err
		}
	}
	return nil
}

// memberships measures what it costs that every client joins its rooms.
func (b *broadcast) memberships(ctx context.Context, joinAll func()) {
	defer b.within("joining")()
	before, from := b.collected(ctx), b.sample(ctx)
	joinAll()
	to, after := b.sample(ctx), b.collected(ctx)
	n := float64(b.clients * b.rooms)
	b.values["join_cpu_us"] = micros(to.server-from.server) / n
	b.values["bytes_membership"] = (after - before) / n
}

// leave closes all clients at once, and measures what it costs that they leave
// their rooms.
func (b *broadcast) leave(ctx context.Context, clients []*wsClient) {
	if ctx.Err() != nil {
		return // not all are open
	}
	defer b.within("leaving")()
	before := b.quiet(ctx)
	b.leaving.Store(true)
	for _, c := range clients {
		b.check(c.post(ws.OpClose, goingAway()))
	}
	b.clientsEnd.Wait()
	b.values["leave_cpu_us"] = micros(b.quiet(ctx)-before) / float64(b.clients*b.rooms)
}
