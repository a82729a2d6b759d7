package siotest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// errEnded is returned when the session has ended.
var errEnded = errors.New("session has ended")

// A Client is a client that sends and receives single packets. Its methods fail the test
// at once if they do not succeed, so call them on the test's goroutine. One goroutine may
// send while another one receives. The client is closed when the test ends.
type Client struct {
	tb        testing.TB
	dialer    Dialer
	transport transport
	open      string
	sid       string
	queue     []string // received, not yet taken by Next
	ended     bool
}

// A transport is polling or a WebSocket. Packets have the form of the polling payload.
type transport interface {
	send(packets []string) error
	receive(deadline time.Time) ([]string, error) // at least one packet, or errEnded
	abort()
}

// Polling opens a session by HTTP long-polling.
func (d Dialer) Polling(tb testing.TB) *Client {
	tb.Helper()
	return d.start(tb, newPolling(tb, d))
}

// WebSocket opens a session by WebSocket. The packets, if there are any, are
// sent in the same write as the request, before the server can have answered.
func (d Dialer) WebSocket(tb testing.TB, packets ...string) *Client {
	tb.Helper()
	w, err := dialWebSocket(d, "", packets)
	if err != nil {
		tb.Fatalf("siotest: opening a WebSocket: %v", err)
	}
	return d.start(tb, w)
}

func (d Dialer) start(tb testing.TB, t transport) *Client {
	tb.Helper()
	c := &Client{tb: tb, dialer: d, transport: t}
	tb.Cleanup(func() { c.transport.abort() })
	c.open = c.Next()
	var hello struct {
		SID string `json:"sid"`
	}
	data, ok := strings.CutPrefix(c.open, "0")
	if err := json.Unmarshal([]byte(data), &hello); !ok || err != nil || hello.SID == "" {
		tb.Fatalf("siotest: first packet is %q, want an open packet", c.open)
	}
	c.sid = hello.SID
	if p, ok := t.(*polling); ok {
		p.sid = hello.SID
	}
	return c
}

// SID returns the id of the Engine.IO session.
func (c *Client) SID() string { return c.sid }

// OpenPacket returns the packet that opened the session.
func (c *Client) OpenPacket() string { return c.open }

// Send sends packets, all of them in one POST or one write.
func (c *Client) Send(packets ...string) {
	c.tb.Helper()
	if err := c.transport.send(packets); err != nil {
		c.tb.Fatalf("siotest: sending %q: %v", abridge(packets), err)
	}
}

// TrySend is [Client.Send] for a connection that the server may close or not read. It
// returns the error, and may be called on any goroutine.
func (c *Client) TrySend(packets ...string) error { return c.transport.send(packets) }

// Next waits for the next packet and returns it.
func (c *Client) Next() string {
	c.tb.Helper()
	p, err := c.next()
	if err != nil {
		c.tb.Fatalf("siotest: waiting for a packet: %v", err)
	}
	return p
}

// TryNext is [Client.Next] for a session that may end: then it returns an error. It may be
// called on any goroutine.
func (c *Client) TryNext() (string, error) { return c.next() }

// Want waits for as many packets, and fails the test unless they are these.
func (c *Client) Want(packets ...string) {
	c.tb.Helper()
	for i, want := range packets {
		if got := c.Next(); got != want {
			c.tb.Fatalf("siotest: packet %d of %d is %q, want %q", i+1, len(packets), got, want)
		}
	}
}

// Connect connects to a namespace, "/" for the root, and returns the id of the socket.
// The auth payload is a JSON object, or "" for none. No other packet may come before the
// answer.
func (c *Client) Connect(namespace, auth string) (id string) {
	c.tb.Helper()
	head := "40"
	if namespace != "" && namespace != "/" {
		head += namespace + ","
	}
	c.Send(head + auth)
	return c.connected(head)
}

func (c *Client) connected(head string) (id string) {
	c.tb.Helper()
	got := c.Next()
	var reply struct {
		SID string `json:"sid"`
	}
	data, ok := strings.CutPrefix(got, head)
	if err := json.Unmarshal([]byte(data), &reply); !ok || err != nil || reply.SID == "" {
		c.tb.Fatalf("siotest: answer to %s is %q", head, got)
	}
	return reply.SID
}

// UntilClosed waits until the server has ended the session, and returns the
// packets that came before.
func (c *Client) UntilClosed() []string {
	c.tb.Helper()
	var before []string
	for {
		p, err := c.next()
		switch {
		case errors.Is(err, errEnded):
			return before
		case err != nil:
			c.tb.Fatalf("siotest: waiting for the end: %v", err)
		}
		before = append(before, p)
	}
}

// Upgrade moves a polling session to WebSocket, as the official client does:
// with a poll open until the server ends it.
func (c *Client) Upgrade() {
	c.tb.Helper()
	p, ok := c.transport.(*polling)
	if !ok {
		c.tb.Fatal("siotest: Upgrade of a client that does not poll")
	}
	var last []string
	var failed error
	done := make(chan struct{})
	go func() { // ends with the poll
		defer close(done)
		last, failed = p.receive(c.dialer.deadline())
	}()
	w, err := dialWebSocket(c.dialer, c.sid, nil)
	if err != nil {
		c.tb.Fatalf("siotest: opening a WebSocket to upgrade to: %v", err)
	}
	c.tb.Cleanup(w.abort)
	if err := w.send([]string{"2probe"}); err != nil {
		c.tb.Fatalf("siotest: sending the probe: %v", err)
	}
	if got, err := w.receive(c.dialer.deadline()); err != nil || !slices.Equal(got, []string{"3probe"}) {
		c.tb.Fatalf("siotest: answer to the probe: %q, %v", got, err)
	}
	<-done
	if failed != nil {
		c.tb.Fatalf("siotest: the last poll: %v", failed)
	}
	c.queue = append(c.queue, last...)
	if err := w.send([]string{"5"}); err != nil {
		c.tb.Fatalf("siotest: sending the upgrade packet: %v", err)
	}
	c.transport = w
}

// Close sends a close packet. Use [Client.UntilClosed] to wait for the end of the session.
func (c *Client) Close() {
	c.tb.Helper()
	c.Send("1")
}

// Abort closes the connection without a close packet: the WebSocket, or that of a poll.
func (c *Client) Abort() {
	c.tb.Helper()
	if p, ok := c.transport.(*polling); ok {
		if err := p.openPoll(); err != nil {
			c.tb.Fatalf("siotest: opening a poll to abort: %v", err)
		}
	}
	c.transport.abort()
}

// next is Next with an error.
func (c *Client) next() (string, error) { return c.nextBefore(c.dialer.deadline()) }

// nextBefore is next with a deadline of its own. When the session has ended it
// closes its side of the connection, for which the server waits.
func (c *Client) nextBefore(deadline time.Time) (string, error) {
	p, err := c.read(deadline)
	if errors.Is(err, errEnded) {
		c.ended = true
		c.transport.abort()
	}
	return p, err
}

func (c *Client) read(deadline time.Time) (string, error) {
	for { // pings do not count
		for len(c.queue) == 0 {
			if c.ended {
				return "", errEnded
			}
			packets, err := c.transport.receive(deadline)
			if err != nil {
				return "", err
			}
			c.queue = packets
		}
		p := c.queue[0]
		c.queue = c.queue[1:]
		switch p {
		case "1":
			return "", errEnded
		case "2":
			if err := c.transport.send([]string{"3"}); err != nil {
				return "", err
			}
		case "6":
		default:
			return p, nil
		}
	}
}

// abridge shortens packets for a message.
func abridge(packets []string) []string {
	const most = 200
	short := slices.Clone(packets[:min(len(packets), 3)])
	for i, p := range short {
		if len(p) > most {
			short[i] = p[:most] + "..."
		}
	}
	return short
}
