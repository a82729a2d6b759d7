package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
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
	leaving  atomic.Bool // the clients close, and may be closed
}

func newBroadcast(r *run) *broadcast {
	b := &broadcast{run: r, complete: make(chan struct{}, 1)}
	pad := strings.Repeat("x", r.size)
	for i := range r.burst {
		b.messages = append(b.messages, []byte(`42["b",`+strconv.Itoa(i)+`,"`+pad+`"]`))
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
func (b *broadcast) rounds(ctx context.Context, trigger func(n int) error) error {
	var last times
	n := 0
	during := func(d time.Duration) error {
		for end := time.Now().Add(d); time.Now().Before(end); n++ {
			took, err := b.round(ctx, n, trigger)
			if err != nil {
				return err
			}
			last.add(took)
		}
		return nil
	}
	if err := during(b.warm); err != nil {
		return err
	}
	last.take()
	from, err := b.sample()
	if err != nil {
		return err
	}
	if err := during(b.dur); err != nil {
		return err
	}
	if err := b.since(from); err != nil {
		return err
	}
	b.values["p50_us"], b.values["p99_us"] = last.take()
	return wait(ctx, 50*time.Millisecond) // for what is too much
}

func (b *broadcast) round(ctx context.Context, n int, trigger func(n int) error) (time.Duration, error) {
	defer b.within("a round")()
	b.due.Add(int64(len(b.messages)))
	b.missing.Store(int64(len(b.messages) * b.clients))
	start := time.Now()
	if err := trigger(n); err != nil {
		return 0, err
	}
	select {
	case <-b.complete:
		return time.Since(start), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// broadcastToAll is a scenario in which the first client has the server send to
// all of them.
func broadcastToAll(ctx context.Context, r *run) error {
	b := newBroadcast(r)
	clients, err := open(ctx, r, r.connect, b.receive)
	if err != nil {
		return err
	}
	return b.rounds(ctx, func(int) error {
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
func broadcastToRooms(ctx context.Context, r *run) error {
	if r.clients%roomSize != 0 {
		return fmt.Errorf("-clients must be a multiple of %d", roomSize)
	}
	b := newBroadcast(r)
	start := make(chan struct{})
	var joined sync.WaitGroup
	joined.Add(r.clients)
	clients, err := open(ctx, r, r.connect, func(id int, c *wsClient) error {
		<-start
		err := joinRooms(id, c, r.rooms)
		joined.Done()
		if err == nil {
			err = b.receive(id, c)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := r.memberships(ctx, func() { close(start); joined.Wait() }); err != nil {
		return err
	}
	if err := b.rounds(ctx, func(n int) error {
		for i := 0; i < len(clients); i += roomSize {
			room := roomName(i, n%r.rooms)
			if err := clients[i].post(ws.OpText, fmt.Appendf(nil, `42["room",%q,%d,%d]`, room, r.burst, r.size)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return b.leave(ctx, clients)
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
			return fmt.Errorf("joining: %w", err)
		}
	}
	return nil
}

// memberships measures what it costs that every client joins its rooms.
func (r *run) memberships(ctx context.Context, joinAll func()) error {
	before, err := r.collected(ctx)
	if err != nil {
		return err
	}
	from, err := r.sample()
	if err != nil {
		return err
	}
	done := r.within("joining")
	joinAll()
	done()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	to, err := r.sample()
	if err != nil {
		return err
	}
	after, err := r.collected(ctx)
	n := float64(r.clients * r.rooms)
	r.values["join_cpu_us"] = micros(to.server-from.server) / n
	r.values["bytes_membership"] = (after - before) / n
	return err
}

// leave closes all clients at once, and measures what it costs that they leave
// their rooms.
func (b *broadcast) leave(ctx context.Context, clients []*wsClient) error {
	defer b.within("leaving")()
	from, err := cpuTime(b.pid)
	if err != nil {
		return err
	}
	b.leaving.Store(true)
	for _, c := range clients {
		if err := c.post(ws.OpClose, goingAway()); err != nil {
			return err
		}
	}
	b.clientsEnd.Wait()
	if err := b.quiet(ctx); err != nil {
		return err
	}
	to, err := cpuTime(b.pid)
	b.values["leave_cpu_us"] = micros(to-from) / float64(b.clients*b.rooms)
	return err
}
