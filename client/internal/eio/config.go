// Package eio is the client's end of an Engine.IO session, revision 4: it opens one by
// polling or WebSocket, moves it from polling to WebSocket, answers pings, and notices a
// server that is gone.
package eio

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/websocket"
)

// Names of transports.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// A Config says how to open sessions. It must not change while it is in use.
type Config struct {
	URL        *url.URL // http or https, with the path and without a query
	Query      url.Values
	Header     http.Header
	Transports []string // not empty
	TryAll     bool     // on an error, try the next transport
	Upgrade    bool     // from polling to WebSocket

	// Client sends all requests. A WebSocket begins as one.
	Client *http.Client

	Timeout        time.Duration // for opening a session, and for a probe; 0 for none
	RequestTimeout time.Duration // for a request of polling; 0 for none

	ForceBase64    bool
	TimestampParam string // of polling requests; "" for none
	Protocols      []string
	Deflate        *websocket.Deflate // nil: offer no compression
	MaxMessage     int                // bytes of a message from the server

	// Now returns the time by the wall clock, which goes on while the process is
	// suspended. Nil means time.Now.
	Now func() time.Time
}

// A Handshake is the server's open packet.
type Handshake struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval float64  `json:"pingInterval"` // milliseconds
	PingTimeout  float64  `json:"pingTimeout"`
	MaxPayload   float64  `json:"maxPayload"`
}

// readHandshake returns the content of an open packet.
func readHandshake(p payload.Packet) (h Handshake, err error) {
	if p.Type != payload.Open || p.Binary {
		return h, errNoOpen
	}
	if err := json.Unmarshal(p.Data, &h); err != nil || h.SID == "" || h.PingInterval < 1 || h.PingTimeout < 1 {
		return h, errHandshake
	}
	return h, nil
}

// maxMillis is the longest ping interval and the longest ping timeout, 24 days: the most
// that a timer of JavaScript can do.
const maxMillis = 1<<31 - 1

// patience is how long after a ping the session ends.
func (h *Handshake) patience() time.Duration {
	return time.Duration(min(h.PingInterval, maxMillis)+min(h.PingTimeout, maxMillis)) * time.Millisecond
}

// maxBody is how many bytes a POST may have, 0 for any number. What is no size is no limit.
func (h *Handshake) maxBody() int { return int(max(0, min(h.MaxPayload, math.MaxInt32))) }

// A Handler is told what happens to an Engine. Opened, Message, ReadDone and Ping are
// called one at a time. No lock is held, and the Engine's methods may be called.
type Handler interface { //nolint:interfacebloat // there is one implementation
	// Opened is called before the first Message.
	Opened(transport string)

	// Message receives a message. p is valid only during the call.
	Message(binary bool, p []byte)

	// ReadDone follows when the messages of one read have been handed over.
	ReadDone()

	// Ping is called for each ping of the server.
	Ping()

	// Upgraded tells the end of an attempt to move to WebSocket: err is nil if the
	// session has moved, and else it stays with polling.
	Upgraded(err error)

	// Closed is called once when the session has ended, or could not be opened. It
	// is not called after [Engine.Close].
	Closed(opened bool, reason string, err error)
}

// Reasons for [Handler].Closed, which are those of the JavaScript client.
const (
	PingTimeout    = "ping timeout"
	TransportClose = "transport close"
	TransportError = "transport error"
)
