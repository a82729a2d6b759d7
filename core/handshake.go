package sio

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// A Handshake tells about the request that opened a client's connection, and
// what the client sent to connect to the namespace. After an upgrade it is
// still the first request.
type Handshake struct {
	Header  http.Header     // not to be changed: all sockets of the client share it
	Query   url.Values      // likewise
	URL     string          // path and query as the client sent them
	Host    string          // as the client sent it
	Address string          // of the client, by the framework's trusted-proxy rules
	Secure  bool            // over TLS, as far as this server sees
	Time    time.Time       // when the connection was opened, in milliseconds
	Auth    json.RawMessage // the payload of CONNECT; nil if there was none

	// Context has the values that the HTTP side left: a framework's keys, a
	// middleware's request values. It does not end.
	Context context.Context //nolint:containedctx // it is data here
}

// Handshake returns how the client came.
func (s *Socket) Handshake() *Handshake { return s.client.handshake(s.auth) }

// Transport returns how the client is connected at the moment: "polling" or
// "websocket". A client that upgrades changes from one to the other.
func (s *Socket) Transport() string { return s.client.session.Transport() }

// Address returns the address of the client, as [Handshake] has it. It allocates
// nothing, so it is for what has to know the address for every event.
func (s *Socket) Address() string { return s.client.session.ClientIP() }

func (c *client) handshake(auth []byte) *Handshake {
	r := c.session.Request()
	return &Handshake{
		Header:  r.Header,
		Query:   r.Query,
		URL:     r.URI,
		Host:    r.Host,
		Address: r.ClientIP,
		Secure:  r.TLS,
		Time:    time.UnixMilli(c.opened),
		Auth:    auth,
		Context: c.session.Values(),
	}
}
