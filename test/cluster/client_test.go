package cluster_test

import (
	"context"
	"strings"
	"testing"
)

// A client is an official client, in a process of Node.js.
type client struct {
	peer  *peer
	name  string // the name of its server, and a suffix
	at    member
	ns    string
	rooms []any
	id    string // of its socket
}

// A connect is the command that connects a client.
type connect struct {
	Op         string   `json:"op"`
	URL        string   `json:"url"`
	NS         string   `json:"ns"`
	Rooms      []any    `json:"rooms,omitempty"`
	Token      string   `json:"token,omitempty"`
	Transports []string `json:"transports,omitempty"`
	With       string   `json:"with,omitempty"` // name of a client that has a connection already
}

// A connected is its reply.
type connected struct {
	ID        string
	Recovered bool
}

// connectClient connects a client, which the server puts into rooms.
func connectClient(t *testing.T, p *peer, at member, suffix, ns string, rooms ...any) *client {
	t.Helper()
	c := &client{peer: p, name: at.name() + suffix, at: at, ns: ns, rooms: rooms}
	c.connect(t, connect{Op: "connect", URL: at.url(), NS: ns, Rooms: rooms, Transports: []string{c.transport()}})
	return c
}

// transport is how the client is connected: those whose names end in 3 by long polling.
func (c *client) transport() string {
	if strings.HasSuffix(c.name, "3") {
		return "polling"
	}
	return "websocket"
}

// join connects one more socket, to another namespace, on a client's connection.
func (c *client) join(t *testing.T, suffix, ns string, rooms ...any) *client {
	t.Helper()
	other := &client{peer: c.peer, name: c.at.name() + suffix, at: c.at, ns: ns, rooms: rooms}
	other.connect(t, connect{Op: "connect", URL: c.at.url(), NS: ns, Rooms: rooms, With: c.name})
	return other
}

func (c *client) connect(t *testing.T, command connect) (recovered bool) {
	t.Helper()
	var reply connected
	c.call(t, command, &reply)
	c.id = reply.ID
	return reply.Recovered
}

// call has the client do something.
func (c *client) call(t *testing.T, command, result any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.peer.call(ctx, "client", c.name, command, result); err != nil {
		t.Fatal(err)
	}
}

// disconnect ends the socket.
func (c *client) disconnect(t *testing.T) {
	t.Helper()
	c.call(t, command{Op: "disconnect"}, new(any))
}
