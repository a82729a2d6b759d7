package rolling_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
)

// A crowd are the clients, and what they have sent and got.
type crowd struct {
	url     string
	clients []*client

	mu       sync.Mutex
	sent     []sending       // by number
	losses   []time.Time     // of connections
	returns  []time.Time     // of clients that have come back
	away     []time.Duration // how long they were away
	afresh   int             // clients that have come back and were not recovered
	latency  []time.Duration // of messages that clients got without having been away
	failures []error         // of messages that were not acknowledged
}

// A sending is a message that a client sends.
type sending struct {
	room         string
	acknowledged bool
}

// A client is one client. Its fields are guarded by the crowd.
type client struct {
	socket    *sioclient.Socket
	room      string
	got       map[int]int // how often, by number
	connected time.Time
	lost      time.Time // when it has lost its connection; zero if it has never
}

// clientsPerRoom is how many clients share a room.
const clientsPerRoom = 50

// connect connects the clients, one after the other. They leave with the test.
func connect(t *testing.T, url string, n int) *crowd {
	t.Helper()
	w := &crowd{url: url}
	t.Cleanup(func() { w.leave(t) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range n {
		c := &client{room: fmt.Sprint("room ", i/clientsPerRoom), got: make(map[int]int)}
		opts := &sioclient.Options{Auth: map[string]any{"Room": c.room}, Logger: slog.New(slog.DiscardHandler)}
		if i%20 == 0 {
			opts.Transports = []string{sioclient.Polling}
		}
		s, err := sioclient.New(url, opts)
		if err != nil {
			t.Fatal(err)
		}
		c.socket = s
		w.clients = append(w.clients, c)
		s.OnConnect(func(s *sioclient.Socket) { w.noteConnect(c, s.Recovered()) })
		s.OnDisconnect(func(*sioclient.Socket, sioclient.Reason) { w.noteLoss(c) })
		s.On("said", sioclient.Bind(func(_ *sioclient.Ctx, m message) error {
			w.noteMessage(c, m)
			return nil
		}))
		if err := s.Connect(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *crowd) noteConnect(c *client, recovered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.connected = time.Now()
	if c.lost.IsZero() {
		return
	}
	w.returns = append(w.returns, c.connected)
	w.away = append(w.away, c.connected.Sub(c.lost))
	if !recovered {
		w.afresh++
	}
}

func (w *crowd) noteLoss(c *client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.lost = time.Now()
	w.losses = append(w.losses, c.lost)
}

func (w *crowd) noteMessage(c *client, m message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.got[m.Number]++
	if sent := time.Unix(0, m.Sent); sent.After(c.connected) && c.lost.Before(c.connected) {
		w.latency = append(w.latency, time.Since(sent))
	}
}

// send has a client send a message and wait for its acknowledgement.
func (w *crowd) send(ctx context.Context, c *client, room string) {
	w.mu.Lock()
	m := message{Number: len(w.sent), Room: room}
	w.sent = append(w.sent, sending{room: room})
	w.mu.Unlock()
	_, err := sioclient.EmitWithAck[int](ctx, c.socket, "say", m)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.sent[m.Number].acknowledged = true
	} else {
		w.failures = append(w.failures, err)
	}
}

// talk has some clients send messages, at some distance, until stop is called: one of 40 to
// all clients, the others to rooms. stop waits for the last acknowledgements.
func (w *crowd) talk(t *testing.T, senders int, pause time.Duration) (stop func()) {
	t.Helper()
	ended := make(chan struct{})
	var running sync.WaitGroup
	for i := range senders {
		c := w.clients[i*len(w.clients)/senders]
		running.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for n := i; ; n++ {
				room := w.clients[(n*clientsPerRoom)%len(w.clients)].room
				if n%40 == 0 {
					room = ""
				}
				w.send(t.Context(), c, room)
				select {
				case <-tick.C:
				case <-ended:
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() {
		close(ended)
		running.Wait()
	})
}

// leave disconnects the clients.
func (w *crowd) leave(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var leaving sync.WaitGroup
	for _, c := range w.clients {
		leaving.Go(func() {
			if err := c.socket.Manager().Shutdown(ctx); err != nil {
				t.Errorf("a client does not leave: %v", err)
			}
		})
	}
	leaving.Wait()
}

// A verdict says what became of the messages.
type verdict struct {
	acknowledged int // messages
	unknown      int // messages whose sender has lost its connection before the acknowledgement
	deliveries   int
	lost         int // deliveries of acknowledged messages that did not happen
	doubled      int // deliveries that happened more than once
	strange      int // deliveries to clients that are not in the room
}

func (w *crowd) verdict() (v verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, m := range w.sent {
		if m.acknowledged {
			v.acknowledged++
		} else {
			v.unknown++
		}
		for _, c := range w.clients {
			times := c.got[n]
			v.deliveries += times
			switch meant := m.room == "" || m.room == c.room; {
			case !meant && times > 0:
				v.strange++
			case times > 1:
				v.doubled++
			case meant && times == 0 && m.acknowledged:
				v.lost++
			}
		}
	}
	return v
}

// complete reports whether each client has got a message.
func (w *crowd) complete(number int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !slices.ContainsFunc(w.clients, func(c *client) bool { return c.got[number] == 0 })
}

// back returns how many connections were lost in all, and how often a client has come back.
func (w *crowd) back() (losses, returns int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.losses), len(w.returns)
}
