package engine

import (
	"cmp"
	"errors"
	"fmt"
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
	MaxSendBuffer     int           // bytes of memory for packets that wait for one client; 16 MiB
	MaxHandshakeBytes int           // bytes of URL and headers of a request that opens a session; 16 KiB
	Transports        []string      // polling and websocket
	DisableUpgrades   bool

	// AllowEIO3 accepts clients of protocol revision 3: those of Socket.IO 1 and 2.
	AllowEIO3 bool

	// AllowJSONP accepts polling by scripts and forms, for browsers without CORS
	// (the last one was Internet Explorer 9). Their pages have to be of the server's
	// own origin, or of one that CORS allows. Without AllowJSONP, a request with the
	// parameter j is refused with status 400.
	AllowJSONP bool

	// AllowRequest, if set, is called for every request that opens a session. An
	// error refuses the session. The client sees its message if it is an
	// [HTTPError].
	AllowRequest func(r *Request) error

	// GenerateID, if set, returns the id of a new session. The id has to be unique
	// and hard to guess. It consists of visible ASCII without quotes and
	// backslashes.
	GenerateID func(r *Request) (string, error)

	// SessionRouter, if not nil, makes ids of sessions that name this server, and
	// forwards requests for the sessions of other servers. It takes the place of
	// GenerateID.
	SessionRouter SessionRouter

	// InitialPacket, if not nil, is a message that every client gets together
	// with the open packet: a string or, for binary, a []byte.
	InitialPacket any

	// Cookie, if not nil, is set by polling handshakes.
	Cookie *Cookie

	// CORS, if not nil, says which pages of other origins are allowed. Without it,
	// WebSockets of pages of other origins are refused.
	CORS *CORS

	// UseRequest functions are called in this order for every request, before it is
	// verified. They may add to the header of the answer. An error ends the
	// request. If it is an [HTTPError], the client gets its status and message.
	UseRequest []func(h http.Header, r *Request) error

	// OnConnectionError is called for every request that is refused.
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

	// ParkIdle keeps no goroutine for a WebSocket that is idle: after its first message, or
	// one that follows a second of silence. The handler has to be a [Worker]. It works on
	// Linux, and not for TLS.
	ParkIdle bool

	// Observer, if not nil, is called at certain moments in the life of sessions.
	Observer *Observer

	// Logger receives problems that the operator has to fix. Events that a peer
	// can cause are logged at Debug. There is one exception: the first page of
	// another origin that is refused a WebSocket, or polls, because nothing else tells
	// why that fails. Nil means slog.Default().
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
	if o.Observer == nil {
		o.Observer = new(Observer)
	}
	return o
}

// allows reports whether clients may use the transport.
func (o *Options) allows(transport string) bool {
	return slices.Contains(o.Transports, transport)
}

// upgrades lists the transports that a polling session may upgrade to (EIO-HS-2).
func (o *Options) upgrades() []string {
	if o.DisableUpgrades || !o.allows(WebSocket) {
		return []string{}
	}
	return []string{WebSocket}
}

// Validate returns an error for options that can only be a mistake.
func (o *Options) Validate() error {
	switch o.InitialPacket.(type) {
	case nil, string, []byte:
	default:
		return fmt.Errorf("InitialPacket is a %T: use a string or a []byte", o.InitialPacket)
	}
	if l := o.HTTPCompressionLevel; l < -2 || l > 9 {
		return fmt.Errorf("HTTPCompressionLevel is %d: use one from -2 to 9 (see package compress/flate)", l)
	}
	if o.SessionRouter != nil && o.GenerateID != nil {
		return errors.New("SessionRouter makes the ids of sessions: remove GenerateID")
	}
	for _, f := range o.UseRequest {
		if f == nil {
			return errors.New("UseRequest has a nil function")
		}
	}
	return errors.Join(o.CORS.validate(), o.Cookie.validate())
}
