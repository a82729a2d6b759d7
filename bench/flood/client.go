package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// patience is how long a client waits for an ack.
const patience = time.Minute

// A client speaks Socket.IO over WebSocket, as far as it is needed here.
type client struct {
	conn net.Conn
	from *bufio.Reader
	acks chan struct{}
	over atomic.Bool
}

func connect(address string) (*client, error) {
	conn, buffered, _, err := ws.Dial(context.Background(), "ws://"+address+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		return nil, err
	}
	if buffered == nil { // otherwise it has what came with the answer
		buffered = bufio.NewReader(conn)
	}
	c := &client{conn: conn, from: buffered, acks: make(chan struct{}, 1)}
	if err := c.send("40"); err != nil {
		return nil, err
	}
	for {
		p, err := c.receive()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(string(p), "40") {
			break
		}
	}
	go c.read() // ends with the connection
	return c, nil
}

// read takes what the server sends.
func (c *client) read() {
	defer c.over.Store(true)
	for {
		p, err := c.receive()
		switch {
		case err != nil:
			return
		case string(p) == "2":
			_ = c.send("3")
		case strings.HasPrefix(string(p), "43"):
			c.acks <- struct{}{}
		}
	}
}

func (c *client) receive() ([]byte, error) {
	return wsutil.ReadServerText(struct {
		io.Reader
		io.Writer
	}{c.from, c.conn})
}

func (c *client) send(packet string) error {
	return wsutil.WriteClientText(c.conn, []byte(packet))
}

// ask sends an event and waits for its ack.
func (c *client) ask(event string) error {
	if err := c.send(`421["` + event + `","hello, everybody"]`); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.acks:
		return nil
	case <-timer.C:
		return fmt.Errorf("no ack of %q", event)
	}
}

func (c *client) join() error { return c.ask("join") }

// chat sends an event at each interval, and returns how long each ack took.
func (c *client) chat(ctx context.Context, interval time.Duration) (latencies, error) {
	var l latencies
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l, nil
		case <-tick.C:
			start := time.Now()
			if err := c.ask("post"); err != nil {
				return l, err
			}
			l = append(l, time.Since(start))
		}
	}
}

// flood sends n events at a steady rate, until it is cut off.
func (c *client) flood(ctx context.Context, n int, d time.Duration) {
	start := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for sent := 0; sent < n; {
		select {
		case <-tick.C:
		case <-ctx.Done(): // the rest at once
		}
		due := min(n, int(float64(n)*float64(time.Since(start))/float64(d)))
		for ; sent < due; sent++ {
			if c.send(`42["post","hello, everybody"]`) != nil {
				return
			}
		}
	}
}

// ended counts the clients that the server has disconnected.
func ended(clients []*client) (n int) {
	for _, c := range clients {
		if c.over.Load() {
			n++
		}
	}
	return n
}
