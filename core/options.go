package sio

import (
	"cmp"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/serial"
)

// Options are the settings of a [Server], with the names of the JavaScript
// server where it has the same. A zero value means the default.
type Options struct {
	// PingInterval is the time between a pong and the next ping, 25 s by
	// default; PingTimeout is how long to wait for the pong, 20 s by default.
	// Clients learn both at the handshake. A ping may come 0.4% early, together
	// with that of another client.
	PingInterval time.Duration
	PingTimeout  time.Duration

	// UpgradeTimeout is how long a client may take to move from polling to
	// WebSocket, 10 s by default.
	UpgradeTimeout time.Duration

	// ConnectTimeout is how long a client may be connected without having
	// joined a namespace, 45 s by default.
	ConnectTimeout time.Duration

	// MaxHTTPBufferSize is the size in bytes that a message, or the body of a
	// POST, may have: 1,000,000 by default. What is larger ends a WebSocket
	// connection, and is answered 413 in a POST.
	MaxHTTPBufferSize int

	// MaxAttachments is how many binary values one packet of a client may have,
	// 10 by default. All of them together may have MaxHTTPBufferSize bytes. With
	// Parser, the default is one for each 64 bytes of MaxHTTPBufferSize.
	MaxAttachments int

	// MaxSendAttachments is how many binary values one packet to clients may have,
	// 10 by default. Official clients close their connection if there are more,
	// unless they were told otherwise, so Emit returns [ErrTooManyAttachments]
	// instead. With Parser there is no such limit by default.
	MaxSendAttachments int

	// MaxSendBuffer is the memory in bytes that may wait to be sent to one client,
	// 16 MiB by default. When it is used up, the next message disconnects the client,
	// because it reads too slowly. If events with [Broadcast.DropOldest] wait, the oldest
	// of them are dropped instead. The message that reaches the limit is still sent, so
	// one message may have any size. To send more, wait in between: [Socket.Flush]. A
	// small packet takes some 300 bytes. A broadcast counts for each of its receivers,
	// although it is in memory once.
	MaxSendBuffer int

	// MaxHandshakeBytes is the limit in bytes of the URL and the headers, cookies
	// included, of the request that opens a connection. The default is 16 KiB, which is
	// also the limit of Node.js. They are kept as long as the connection lives. A
	// larger request is refused with status 431. The same limit is for the auth
	// payloads that are kept for a client: see [Handshake].
	MaxHandshakeBytes int

	// MaxPendingEvents and MaxPendingBytes limit the events that may wait for a
	// socket's handlers, to 256 events and 1 MiB by default. When a limit is reached,
	// the connection is not read until a handler has returned. So no event is lost,
	// and the client is slowed down. An event that is larger than the rest of
	// MaxPendingBytes still gets in, as the last one. MaxPendingBytes also limits the auth payloads of
	// connects that wait to be accepted. Beyond that, the client is refused with
	// "too much auth data".
	//
	// A pong or an acknowledgement may come behind events that wait. While the server
	// awaits one, it reads beyond these limits: up to 8 times MaxPendingBytes more may
	// wait, for all sockets of the client together. When
	// this is used up, calls that wait for acknowledgements return [ErrAckBlocked].
	// From clients of AllowEIO3 a ping is always awaited.
	//
	// A client that has gone is noticed after PingInterval + PingTimeout, whatever
	// waits; polls count as pongs. A WebSocket that cannot be read, because all of
	// this is used up, is kept for 4 times PingInterval + PingTimeout.
	MaxPendingEvents int
	MaxPendingBytes  int

	// MaxNamespaces is how many namespaces one client may be in at the same time,
	// 100 by default. A namespace that it has left counts until the handlers there have
	// returned. Beyond that, a connect is refused with "too many namespaces".
	MaxNamespaces int

	// Transports are the transports that clients may use, "polling" and "websocket" by
	// default. With DisableUpgrades, clients stay on the transport they began with.
	Transports      []string
	DisableUpgrades bool

	// AllowEIO3 lets clients of Socket.IO 2 in, and clients of Socket.IO 1 that speak
	// revision 3 of the Engine.IO protocol. They are connected to the root namespace
	// without asking. Their [Socket.ID] is the id of their session: keep it secret,
	// because whoever knows it can send in the client's name.
	AllowEIO3 bool

	// AllowJSONP lets clients poll by loading scripts and sending forms (JSONP). Only
	// browsers without CORS need it: the last one was Internet Explorer 9. Every page
	// can load scripts, so only pages of the server's own origin may do it, and pages
	// that CORS lets in. The server tells the origin by the Referer header, so pages
	// must send it. Without AllowJSONP, such requests are refused with status 400.
	AllowJSONP bool

	// AllowRequest, if set, is called once for each client, when it opens its
	// connection. An error refuses the client with status 403. The client gets the
	// message of an [*Error] or an [*HTTPError], which may also choose the status, and
	// "Forbidden" for any other error. Refusals are logged at Debug, since clients can
	// cause them at will. OnConnectionError is called for each.
	AllowRequest func(r *Request) error

	// GenerateID, if set, returns the id of a new connection, which is not that
	// of its sockets. It has to be unique, impossible to guess, and of visible
	// ASCII characters other than quotes and backslashes.
	GenerateID func(r *Request) (string, error)

	// SessionRouter, if not nil, lets every server of the cluster answer every request,
	// so that the load balancer needs no sticky sessions: see package forward in
	// adapters/cluster. It makes the ids of connections, so GenerateID has to be nil. Each
	// server needs a SessionRouter of its own. [Server.Shutdown] closes it.
	SessionRouter engine.SessionRouter

	// InitialPacket, if not nil, is a message that every client gets together
	// with the handshake: a string or, for binary, a []byte. What it means is
	// between you and the client; for one of Socket.IO it has to be a packet.
	InitialPacket any

	// Cookie, if not nil, has polling clients be sent a cookie, for load
	// balancers that want one.
	Cookie *Cookie

	// CORS, if not nil, lets web pages of other origins in. Without it, they
	// cannot use polling, because their browsers do not let them, and their
	// WebSockets are refused with status 403, because browsers would.
	CORS *CORS

	// UseRequest functions are called in this order for every HTTP request: for each
	// poll and POST of a polling client, and once for a WebSocket. They may add to the
	// header of the answer. An error ends the request: an [*HTTPError] is the answer,
	// any other error is answered with status 400. Both are logged at Debug. The
	// framework's own middleware, which runs earlier, can do more.
	UseRequest []func(h http.Header, r *Request) error

	// OnConnectionError is called for every request that is refused, with the reason.
	OnConnectionError func(err ConnectionError)

	// OnInitialHeaders may change the header of the answer that opens a
	// connection; OnHeaders that of all answers, also to later polls and POSTs.
	OnInitialHeaders func(h http.Header, r *Request)
	OnHeaders        func(h http.Header, r *Request)

	// DisableHTTPCompression turns off the compression of the answers to polls.
	// Otherwise an answer is compressed if it has at least HTTPCompressionThreshold
	// bytes, 1024 by default, and if the client accepts that. HTTPCompressionLevel is a
	// level of package compress/flate, its DefaultCompression by default.
	DisableHTTPCompression   bool
	HTTPCompressionThreshold int
	HTTPCompressionLevel     int

	// PerMessageDeflate, if not nil, compresses messages over WebSocket for
	// clients that can do that. It takes time and memory, so it is off by
	// default; see its type for how much.
	PerMessageDeflate *PerMessageDeflate

	// ParkIdle saves the memory of a goroutine for each WebSocket on which nothing comes:
	// see docs/performance.md for how much. The goroutine ends after the first message of a
	// client, or after one that follows a second of silence, such as a pong. It is for servers with very many clients that
	// are mostly silent. It works on Linux, and only for connections that the server does
	// not decrypt itself; others are as without it.
	ParkIdle bool

	// ClientFS, if set, has the files of the JavaScript client
	// (socket.io.min.js and so on: the dist folder of the npm package
	// socket.io-client), and the server serves them beside its endpoint.
	ClientFS fs.FS

	// ConnectionStateRecovery, if not nil, lets clients that lost their
	// connection for a short time go on as if they had not: see [Recovery].
	ConnectionStateRecovery *Recovery

	// Adapter, if not nil, connects this server with others to a cluster, in
	// which broadcasts reach the clients of all servers. See also [Server.Cluster].
	Adapter adapter.Cluster

	// OnClusterError, if set, is called when the Adapter tells of an error: the broker
	// cannot be reached, messages were lost, a server has gone. It is called with nil
	// when the cluster is healthy, for the first time or again. Calls do not overlap. They come in the order in
	// which the adapter tells, and adapters limit how often they do. Without it, errors
	// are logged at Error, and the end of a failure at Info.
	OnClusterError func(err error)

	// CleanupEmptyChildNamespaces has a namespace that [Server.OfFunc] or
	// [Server.OfRegexp] brought about end with its last client; with
	// ConnectionStateRecovery, when no client can come back to it any more. Otherwise
	// it stays, with the name that a client chose. In both cases the server keeps at
	// most 10,000 empty ones. Beyond that, the one that has been empty for the longest
	// time ends, and its sessions cannot be recovered. A namespace that [Server.Of] has
	// returned never ends.
	CleanupEmptyChildNamespaces bool

	// Parser, if not nil, encodes packets in another way than the protocol's
	// own; clients have to use the same parser. Servers with different parsers
	// can be mounted at different paths of one application.
	Parser parser.Parser

	// JSON, if not nil, encodes and decodes values, except strings, numbers, booleans,
	// raw JSON and values with binary data: the server encodes those itself. The
	// default has the results of encoding/json, without escapes for HTML, in less time.
	JSON Codec

	// OnError, if set, is called with the error of an event's handler instead
	// of answering the client's ack and logging it.
	OnError func(c *Ctx, err error)

	// Observers are told of what happens in the server, for metrics and traces. They
	// change nothing. Without observers, this costs nothing.
	Observers []*Observer

	// Logger gets errors and panics of handlers at Error. Records of what any client
	// can cause are at Debug, without payloads and auth objects. There is one
	// exception: the first time that a page of another origin polls, or is refused a
	// WebSocket, is logged at Warn. Nothing else would tell that CORS is the option to
	// set. Nil means slog.Default().
	Logger *slog.Logger
}

// A Codec encodes and decodes JSON. It must be safe for concurrent use. Marshal
// must return one JSON value in valid UTF-8, and an error for circular data.
// Unmarshal gets one valid JSON value, which it must not keep or change.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// Defaults of [Options] that the engine does not know.
const (
	defaultConnectTimeout    = 45 * time.Second
	defaultMaxHTTPBufferSize = 1e6
	defaultMaxPendingEvents  = 256
	defaultMaxPendingBytes   = 1 << 20
	defaultMaxNamespaces     = 100
	defaultMaxHandshakeBytes = 16 << 10

	// bytesPerAttachment is about the memory of a binary value without its content.
	bytesPerAttachment = 64
)

// withDefaults returns a copy with the defaults filled in. It panics if an option can
// only be a mistake.
func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	for name, v := range map[string]int64{
		"PingInterval":       int64(c.PingInterval),
		"PingTimeout":        int64(c.PingTimeout),
		"UpgradeTimeout":     int64(c.UpgradeTimeout),
		"ConnectTimeout":     int64(c.ConnectTimeout),
		"MaxHTTPBufferSize":  int64(c.MaxHTTPBufferSize),
		"MaxAttachments":     int64(c.MaxAttachments),
		"MaxSendBuffer":      int64(c.MaxSendBuffer),
		"MaxSendAttachments": int64(c.MaxSendAttachments),
		"MaxHandshakeBytes":  int64(c.MaxHandshakeBytes),
		"MaxPendingEvents":   int64(c.MaxPendingEvents),
		"MaxPendingBytes":    int64(c.MaxPendingBytes),
		"MaxNamespaces":      int64(c.MaxNamespaces),

		"HTTPCompressionThreshold": int64(c.HTTPCompressionThreshold),
	} {
		if v < 0 {
			misuse.Panic(fmt.Sprintf("sio: Options.%s is negative: leave it 0 for the default", name))
		}
	}
	for _, t := range c.Transports {
		if t != engine.Polling && t != engine.WebSocket {
			misuse.Panic(fmt.Sprintf("sio: Options.Transports has %q: use %q and %q", t, engine.Polling, engine.WebSocket))
		}
	}
	if opts := c.engine(); opts.Validate() != nil {
		misuse.Panic("sio: Options." + opts.Validate().Error())
	}
	checkDeflate(c.PerMessageDeflate)
	c.ConnectionStateRecovery = c.ConnectionStateRecovery.withDefaults(c.Adapter)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, defaultConnectTimeout)
	c.MaxHTTPBufferSize = cmp.Or(c.MaxHTTPBufferSize, defaultMaxHTTPBufferSize)
	c.MaxPendingEvents = cmp.Or(c.MaxPendingEvents, defaultMaxPendingEvents)
	c.MaxPendingBytes = cmp.Or(c.MaxPendingBytes, defaultMaxPendingBytes)
	c.MaxNamespaces = cmp.Or(c.MaxNamespaces, defaultMaxNamespaces)
	c.MaxHandshakeBytes = cmp.Or(c.MaxHandshakeBytes, defaultMaxHandshakeBytes)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Parser == nil {
		c.MaxAttachments = cmp.Or(c.MaxAttachments, packet.DefaultMaxAttachments)
		c.MaxSendAttachments = cmp.Or(c.MaxSendAttachments, packet.DefaultMaxAttachments)
	} else {
		c.MaxAttachments = cmp.Or(c.MaxAttachments, max(packet.DefaultMaxAttachments, c.MaxHTTPBufferSize/bytesPerAttachment))
	}
	return c
}

func (o *Options) engine() engine.Options {
	return engine.Options{
		PingInterval:      o.PingInterval,
		PingTimeout:       o.PingTimeout,
		UpgradeTimeout:    o.UpgradeTimeout,
		MaxHTTPBufferSize: o.MaxHTTPBufferSize,
		MaxSendBuffer:     o.MaxSendBuffer,
		MaxHandshakeBytes: o.MaxHandshakeBytes,
		Transports:        o.Transports,
		DisableUpgrades:   o.DisableUpgrades,
		AllowEIO3:         o.AllowEIO3,
		AllowJSONP:        o.AllowJSONP,
		Logger:            o.Logger,
		AllowRequest:      o.allowRequest(),
		GenerateID:        o.GenerateID,
		SessionRouter:     o.SessionRouter,
		InitialPacket:     o.InitialPacket,
		Cookie:            o.Cookie,
		CORS:              o.CORS,
		PerMessageDeflate: o.PerMessageDeflate,
		ParkIdle:          o.ParkIdle,
		UseRequest:        o.UseRequest,
		OnConnectionError: o.OnConnectionError,
		OnInitialHeaders:  o.OnInitialHeaders,
		OnHeaders:         o.OnHeaders,

		DisableHTTPCompression:   o.DisableHTTPCompression,
		HTTPCompressionThreshold: o.HTTPCompressionThreshold,
		HTTPCompressionLevel:     o.HTTPCompressionLevel,
	}
}

func (o *Options) decoder() packet.Decoder {
	return packet.Decoder{MaxAttachments: o.MaxAttachments, MaxBytes: o.MaxHTTPBufferSize}
}

func (o *Options) pending() serial.Limits {
	return serial.Limits{Tasks: o.MaxPendingEvents, Bytes: o.MaxPendingBytes}
}
