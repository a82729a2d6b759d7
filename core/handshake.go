package sio

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sioplug/sioplug/internal/packet"
)

// A Handshake is the request that opened a client's connection, with the payload that
// the client sent to connect to the namespace. After an upgrade it is still the first
// request.
type Handshake struct {
	Header  http.Header // do not change it: all sockets of the client share it
	Query   url.Values  // do not change it, either
	URL     string      // path and query as the client sent them
	Host    string      // as the client sent it
	Address string      // of the client, by the framework's trusted-proxy rules
	Secure  bool        // over TLS, as far as this server sees
	Time    time.Time   // when the connection was opened, in milliseconds

	// Auth is the payload of CONNECT, nil if there was none. [Handshake.Bind] decodes
	// it. The payloads of all namespaces of a client may have
	// [Options.MaxHandshakeBytes]; equal ones count once. A payload beyond that is nil
	// when the OnConnect handlers have returned: keep the values that you need.
	Auth json.RawMessage

	// Context has the values that the HTTP side left: a framework's keys, a
	// middleware's request values. It does not end.
	Context context.Context //nolint:containedctx // it is data here

	codec       packet.Codec
	authDropped bool // there was a payload, which is not kept
}

// Bind decodes the auth payload into dst, a pointer as for [Ctx.Bind], anywhere: in
// the function of [Server.OfFunc], in handlers of events, in [Namespace.OnDisconnect].
// A client that sent no payload has sent an empty object.
//
// A payload that does not fit makes Bind return an [*Error], "invalid payload", for
// the handler to return. If the payload is not kept any more (see Auth), the error is
// [ErrAuthDropped]. The Handshake of a [RemoteSocket] does not know that, and has an
// empty object.
func (h *Handshake) Bind(dst any) error {
	if h.authDropped {
		return ErrAuthDropped
	}
	if err := bindAuth(h.codec, h.Auth, []any{dst}); err != nil {
		return invalidPayload(err, "the auth payload")
	}
	return nil
}

// Handshake returns the request that opened the connection, and the auth payload.
func (s *Socket) Handshake() *Handshake {
	h := s.client.handshake()
	h.Auth, h.authDropped = s.authPayload()
	return h
}

// Transport returns how the client is connected at the moment: "polling" or
// "websocket". A client that upgrades changes from one to the other.
func (s *Socket) Transport() string { return s.client.session.Transport() }

// Address returns the address of the client, as [Handshake] has it. It does not
// allocate, so it may be called for every event.
func (s *Socket) Address() string { return s.client.session.ClientIP() }

// authPayload returns the payload of CONNECT. It is nil if there was none, or if it was
// dropped.
func (s *Socket) authPayload() (auth []byte, dropped bool) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.auth, s.authDropped
}

// limitAuth drops the auth payload of a socket whose connect chain has run, if the
// client's payloads exceed MaxHandshakeBytes. A client may send a large payload for each
// of its namespaces. Most clients send the same small one, which is kept once.
func (c *client) limitAuth(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.chainDone = true
	total := len(s.auth)
	for i, o := range c.sockets {
		switch {
		case o == s || !o.chainDone || len(o.auth) == 0:
		case bytes.Equal(o.auth, s.auth):
			s.auth = o.auth
			return
		case !slices.ContainsFunc(c.sockets[:i], func(p *Socket) bool { return p.chainDone && sameMemory(p.auth, o.auth) }):
			total += len(o.auth)
		}
	}
	if total > c.server.opts.MaxHandshakeBytes {
		s.authDropped = len(s.auth) > 0
		s.auth = nil
	}
}

func sameMemory(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// pendingAuthBytesLocked returns the size of the auth payloads whose connect chains have
// not run yet.
func (c *client) pendingAuthBytesLocked() (size int) {
	for _, s := range c.sockets {
		if !s.chainDone {
			size += len(s.auth)
		}
	}
	return size
}

func (c *client) handshake() *Handshake {
	r := c.session.Request()
	return &Handshake{
		Header:  r.Header,
		Query:   r.Query,
		URL:     r.URI,
		Host:    r.Host,
		Address: r.ClientIP,
		Secure:  r.TLS,
		Time:    time.UnixMilli(c.openedAt),
		Context: c.session.Values(),
		codec:   c.server.wire.codec,
	}
}
