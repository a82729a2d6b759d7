package engine

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// The names of the transports, as clients use them.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Options are the settings of a [Server], named as those of the JavaScript
// server. A zero value means the default.
type Options struct {
	PingInterval      time.Duration // 25 s
	PingTimeout       time.Duration // 20 s
	UpgradeTimeout    time.Duration // 10 s
	MaxHTTPBufferSize int           // bytes of one message or POST; 1e6
	MaxSendBuffer     int           // bytes of memory for what waits for one client; 16 MiB
	MaxHandshakeBytes int           // bytes of URL and headers of a request that opens a session; 16 KiB
	Transports        []string      // polling and websocket
	DisableUpgrades   bool

	// AllowEIO3 lets clients of protocol revision 3 in, which Socket.IO 1 and 2
	// speak.
	AllowEIO3 bool

	// AllowJSONP lets clients poll by loading scripts and sending forms, as
	// browsers without CORS have to (the last one was Internet Explorer 9). Their
	// pages have to be of the server's own origin, or of one that CORS lets in.
	// Otherwise a request with the parameter j is refused with status 400.
	AllowJSONP bool

	// AllowRequest, if set, is asked once for every session, when it is opened.
	// An error refuses: with its message if it is an [HTTPError].
	AllowRequest func(r *Request) error

	// GenerateID, if set, returns the id of a new session. It has to be unique,
	// not to be guessed, and of visible ASCII without quotes and backslashes.
	GenerateID func(r *Request) (string, error)

	// InitialPacket, if not nil, is a message that every client gets together
	// with the handshake: a string or, for binary, a []byte.
	InitialPacket any

	// Cookie, if not nil, is set by polling handshakes.
	Cookie *Cookie

	// CORS, if not nil, lets pages of other origins in. Without it, WebSockets
	// of pages of other origins are refused.
	CORS *CORS

	// UseRequest are called in this order for every request, before it is
	// verified. They may add to the header of the answer. An error ends the
	// request: an [HTTPError] is the answer.
	UseRequest []func(h http.Header, r *Request) error

	// OnConnectionError is told of every request that is refused.
	OnConnectionError func(err ConnectionError)

	// OnInitialHeaders may change the header of the answer that opens a
	// session, OnHeaders that of all answers to requests of a session.
	OnInitialHeaders func(h http.Header, r *Request)
	OnHeaders        func(h http.Header, r *Request)

	// HTTPCompressionThreshold is the size of a payload, in bytes, from which
	// on the answer to a poll is compressed, 1024 by default. The level, from
	// package compress/flate, is its DefaultCompression by default.
	DisableHTTPCompression   bool
	HTTPCompressionThreshold int
	HTTPCompressionLevel     int

	// PerMessageDeflate, if not nil, compresses messages over WebSocket.
	PerMessageDeflate *PerMessageDeflate

	// Logger takes what the operator has to mend. What a peer can cause is
	// logged at Debug, except for the first page of another origin that is
	// refused a WebSocket, or polls: nothing else tells why. Nil means slog.Default().
	Logger *slog.Logger
}

// Defaults of [Options].
const (
	defaultPingInterval      = 25 * time.Second
	defaultPingTimeout       = 20 * time.Second
	defaultUpgradeTimeout    = 10 * time.Second
	defaultMaxHTTPBufferSize = 1e6
	defaultMaxSendBuffer     = 16 << 20
	defaultMaxHandshakeBytes = 16 << 10
)

func withDefaults(o Options) Options {
	o.PingInterval = cmp.Or(o.PingInterval, defaultPingInterval)
	o.PingTimeout = cmp.Or(o.PingTimeout, defaultPingTimeout)
	o.UpgradeTimeout = cmp.Or(o.UpgradeTimeout, defaultUpgradeTimeout)
	o.MaxHTTPBufferSize = cmp.Or(o.MaxHTTPBufferSize, defaultMaxHTTPBufferSize)
	o.MaxSendBuffer = cmp.Or(o.MaxSendBuffer, defaultMaxSendBuffer)
	o.MaxHandshakeBytes = cmp.Or(o.MaxHandshakeBytes, defaultMaxHandshakeBytes)
	o.HTTPCompressionThreshold = cmp.Or(o.HTTPCompressionThreshold, defaultHTTPThreshold)
	o.UseRequest = slices.Clone(o.UseRequest)
	o.Cookie = o.Cookie.clone()
	o.CORS = o.CORS.clone()
	o.Transports = slices.Clone(o.Transports)
	if len(o.Transports) == 0 {
		o.Transports = []string{Polling, WebSocket}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// allows reports whether clients may use the transport.
func (o *Options) allows(transport string) bool {
	return slices.Contains(o.Transports, transport)
}

// upgrades lists what a polling session may upgrade to (EIO-HS-2).
func (o *Options) upgrades() []string {
	if o.DisableUpgrades || !o.allows(WebSocket) {
		return []string{}
	}
	return []string{WebSocket}
}
