package sioclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/sioplug/sioplug/client/internal/eio"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// Names of transports, for [Options].Transports.
const (
	Polling   = eio.Polling
	WebSocket = eio.WebSocket
)

// Options are the settings of a connection, with the names of the JavaScript client where
// it has the same. A zero value means the default.
type Options struct {
	// Path is the path of the HTTP requests, "/socket.io" by default. A slash is added
	// at its end, unless DisableTrailingSlash is set. The path of the URL is not part
	// of it: that is the namespace.
	Path                 string
	DisableTrailingSlash bool

	// Transports are the transports to use, in order. The default is [WebSocket] alone,
	// and not [Polling] first as in JavaScript: a program that is no web page can nearly
	// always open a WebSocket, and a WebSocket needs no sticky sessions.
	//
	// With Polling before WebSocket, the connection begins with polling and moves to
	// WebSocket, unless DisableUpgrade is set. With RememberUpgrade, it begins with
	// WebSocket after that has worked once. With TryAllTransports, a transport that fails
	// is followed by the next one: use it with WebSocket and then Polling, where a proxy
	// may not let WebSockets through.
	Transports       []string
	DisableUpgrade   bool
	RememberUpgrade  bool
	TryAllTransports bool

	// Timeout is how long opening a connection may take, 20 s by default. A negative
	// value means no limit.
	Timeout time.Duration

	// DisableReconnection has a connection that is lost, or could not be opened, stay
	// closed. Otherwise the client waits and connects again: for ReconnectionDelay, 1 s
	// by default, and twice as long after each failure, up to ReconnectionDelayMax, 5 s
	// by default. Each delay is changed by a random part of itself, up to
	// RandomizationFactor, which is 0.5 by default and at most 1; a negative value means
	// none. After ReconnectionAttempts failures, the client gives up: 0 means never.
	DisableReconnection  bool
	ReconnectionAttempts int
	ReconnectionDelay    time.Duration
	ReconnectionDelayMax time.Duration
	RandomizationFactor  float64

	// Auth is sent with each CONNECT: a value that encodes as a JSON object. AuthFunc, if
	// set, is called for it before each CONNECT, also when the client connects again, so
	// it may return a fresh token. If it fails, the client tries again as for a
	// connection that cannot be opened. Its context ends when the connection does.
	Auth     any
	AuthFunc func(ctx context.Context) (any, error)

	// Query is added to the query of all requests. If it is nil, that of the URL is.
	Query url.Values

	// ExtraHeaders are sent with all requests.
	ExtraHeaders http.Header

	// WithCredentials keeps the cookies that the server sets, and sends them back: at most
	// 150 of them, with up to 4,096 bytes each. HTTPClient may have a jar of its own instead.
	WithCredentials bool

	// HTTPClient sends all requests. A WebSocket begins as one. Its Timeout is ignored
	// for WebSockets. If it is nil, the client makes one of TLS, Proxy and DialContext.
	// These default to those of [http.DefaultTransport], which takes proxies from the
	// environment.
	HTTPClient  *http.Client
	TLS         *tls.Config
	Proxy       func(*http.Request) (*url.URL, error)
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// RequestTimeout limits a request of polling. By default there is no limit. It has to
	// be longer than the server's ping interval.
	RequestTimeout time.Duration

	// ForceBase64 has the server send binary data as text.
	ForceBase64 bool

	// TimestampParam is the name of the query parameter by which requests of polling
	// differ, so that nothing caches them: "t" by default. DisableTimestampRequests
	// leaves it out.
	TimestampParam           string
	DisableTimestampRequests bool

	// Protocols are the WebSocket subprotocols to offer.
	Protocols []string

	// PerMessageDeflate, if not nil, offers to compress messages over WebSocket. It takes
	// time and memory, so it is off by default, unlike in JavaScript.
	PerMessageDeflate *sio.PerMessageDeflate

	// Parser, if not nil, encodes packets. The server has to use the same.
	Parser parser.Parser

	// JSON, if not nil, encodes and decodes values, as [sio.Options.JSON] does.
	JSON sio.Codec

	// MaxMessageSize is the size in bytes that a message of the server may have, 16 MiB by
	// default. A larger one ends the connection. MaxAttachments is how many binary values
	// a packet of the server may have, 10 by default, which is also the limit of the
	// JavaScript client; with Parser, one for each 64 bytes.
	MaxMessageSize int
	MaxAttachments int

	// MaxSendBuffer is the memory in bytes that may wait to be sent, 16 MiB by default:
	// for the connection, and for each socket that is not connected. Beyond it, an emit
	// fails with [ErrBufferFull], and nothing that waits is lost. With DropOldest, events
	// that wait for a connection are dropped instead, the oldest first: see
	// [Socket.Dropped].
	MaxSendBuffer int
	DropOldest    bool

	// MaxPendingEvents and MaxPendingBytes limit the events that may wait for a socket's
	// handlers, to 256 events and 1 MiB by default. When a limit is reached, the
	// connection is not read until a handler has returned, so no event is lost. While a
	// call waits for an acknowledgement, up to 8 times MaxPendingBytes more may wait.
	MaxPendingEvents int
	MaxPendingBytes  int

	// AckTimeout limits how long a call waits for an acknowledgement, beside its context.
	// By default there is no limit, and 10 s with Retries.
	AckTimeout time.Duration

	// Retries is how often an event is sent again if the server has not acknowledged it
	// within AckTimeout, or the connection was lost. Then each event that is not volatile
	// asks for an acknowledgement, and is sent when the one before has been acknowledged
	// or given up. [Manager.Shutdown] waits for all of them. The server may get an event
	// more than once. With IdempotencyKeys, each event has one more argument at its end,
	// by which package idempotency recognizes events that came before.
	Retries         int
	IdempotencyKeys bool

	// KeepOffset leaves the argument in place that a server with connection state
	// recovery appends to events. By default the client takes away what has the form of
	// an offset of official servers, of their adapters, or of this module. Offsets of
	// another log stay.
	KeepOffset bool

	// Hooks are told what happens to the connection.
	Hooks Hooks

	// OnError, if set, is called with the error of an event's handler instead of answering
	// the server's ack and logging it.
	OnError func(c *Ctx, err error)

	// Logger gets errors and panics of handlers at Error, and at Debug what the server
	// can cause. Nil means slog.Default().
	Logger *slog.Logger
}

// Hooks are functions that are told what happens to a connection. They are called in
// order with the handlers of its sockets, so they must not wait for them. Each may be nil.
type Hooks struct {
	Open  func()                         // the connection is open
	Close func(reason Reason, err error) // it is not any more
	Error func(err error)                // it could not be opened
	Ping  func()                         // the server sent a ping

	// Upgrade tells whether a polling session has moved to WebSocket: err is nil, or the
	// session stays with polling.
	Upgrade func(err error)

	ReconnectAttempt func(n int)     // the client is about to connect again, for the n-th time
	Reconnect        func(n int)     // it has, at the n-th attempt
	ReconnectError   func(err error) // it has not
	ReconnectFailed  func()          // it has given up
}

// Defaults of [Options].
const (
	defaultPath              = "/socket.io"
	defaultTimeout           = 20 * time.Second
	defaultReconnectionDelay = time.Second
	defaultReconnectionMax   = 5 * time.Second
	defaultRandomization     = 0.5
	defaultTimestampParam    = "t"
	defaultMaxMessageSize    = 16 << 20
	defaultMaxAttachments    = 10
	defaultMaxSendBuffer     = 16 << 20
	defaultMaxPendingEvents  = 256
	defaultMaxPendingBytes   = 1 << 20
	defaultAckTimeout        = 10 * time.Second

	// bytesPerAttachment is about the memory of a binary value without its content.
	bytesPerAttachment = 64
)

// withDefaults returns a copy with the defaults filled in, or an error for what can only
// be a mistake.
func (o *Options) withDefaults() (*Options, error) {
	c := new(Options)
	if o != nil {
		*c = *o
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	c.Path = cmp.Or(c.Path, defaultPath)
	if len(c.Transports) == 0 {
		c.Transports = []string{WebSocket}
	}
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.ReconnectionDelay = cmp.Or(c.ReconnectionDelay, defaultReconnectionDelay)
	c.ReconnectionDelayMax = cmp.Or(c.ReconnectionDelayMax, defaultReconnectionMax)
	c.RandomizationFactor = max(0, cmp.Or(c.RandomizationFactor, defaultRandomization))
	c.TimestampParam = cmp.Or(c.TimestampParam, defaultTimestampParam)
	if c.DisableTimestampRequests {
		c.TimestampParam = ""
	}
	c.MaxMessageSize = cmp.Or(c.MaxMessageSize, defaultMaxMessageSize)
	if c.Parser == nil {
		c.MaxAttachments = cmp.Or(c.MaxAttachments, defaultMaxAttachments)
	} else {
		c.MaxAttachments = cmp.Or(c.MaxAttachments, max(defaultMaxAttachments, c.MaxMessageSize/bytesPerAttachment))
	}
	c.MaxSendBuffer = cmp.Or(c.MaxSendBuffer, defaultMaxSendBuffer)
	c.MaxPendingEvents = cmp.Or(c.MaxPendingEvents, defaultMaxPendingEvents)
	c.MaxPendingBytes = cmp.Or(c.MaxPendingBytes, defaultMaxPendingBytes)
	if c.Retries > 0 { // CLI-EM-10
		c.AckTimeout = cmp.Or(c.AckTimeout, defaultAckTimeout)
	}
	c.Logger = rescue.Logger(cmp.Or(c.Logger, slog.Default()))
	c.Query, c.ExtraHeaders = cloneValues(c.Query), c.ExtraHeaders.Clone()
	if c.ExtraHeaders == nil {
		c.ExtraHeaders = make(http.Header)
	}
	return c, nil
}

func cloneValues(v url.Values) url.Values { return url.Values(http.Header(v).Clone()) }

func (o *Options) validate() error {
	for name, v := range map[string]int64{
		"ReconnectionAttempts": int64(o.ReconnectionAttempts),
		"ReconnectionDelay":    int64(o.ReconnectionDelay),
		"ReconnectionDelayMax": int64(o.ReconnectionDelayMax),
		"RequestTimeout":       int64(o.RequestTimeout),
		"MaxMessageSize":       int64(o.MaxMessageSize),
		"MaxAttachments":       int64(o.MaxAttachments),
		"MaxSendBuffer":        int64(o.MaxSendBuffer),
		"MaxPendingEvents":     int64(o.MaxPendingEvents),
		"MaxPendingBytes":      int64(o.MaxPendingBytes),
		"AckTimeout":           int64(o.AckTimeout),
		"Retries":              int64(o.Retries),
	} {
		if v < 0 {
			return fmt.Errorf("sioclient: Options.%s is negative: leave it 0 for the default", name)
		}
	}
	if o.RandomizationFactor > 1 || math.IsNaN(o.RandomizationFactor) {
		return errors.New("sioclient: Options.RandomizationFactor is above 1: a delay cannot be changed by more than itself")
	}
	for i, t := range o.Transports { // CLI-TR-9
		if t != Polling && t != WebSocket {
			return fmt.Errorf("sioclient: Options.Transports has %q: use %q and %q", t, Polling, WebSocket)
		}
		if slices.Contains(o.Transports[:i], t) {
			return fmt.Errorf("sioclient: Options.Transports has %q twice", t)
		}
	}
	if o.Transports != nil && len(o.Transports) == 0 {
		return errors.New("sioclient: Options.Transports is empty: leave it nil for the default")
	}
	if o.HTTPClient != nil && (o.TLS != nil || o.Proxy != nil || o.DialContext != nil) {
		return errors.New("sioclient: Options.HTTPClient is set: set TLS, Proxy and DialContext in its Transport")
	}
	if o.Auth != nil && o.AuthFunc != nil {
		return errors.New("sioclient: Options.Auth and Options.AuthFunc are both set: set one")
	}
	return nil
}

// engine returns how to open connections to a server. own is the HTTP transport that the
// client has made for itself, or nil.
func (o *Options) engine(server *url.URL) (cfg *eio.Config, own *http.Transport) {
	u := &url.URL{Scheme: server.Scheme, User: server.User, Host: server.Host, Path: o.Path}
	if !o.DisableTrailingSlash && u.Path[len(u.Path)-1] != '/' {
		u.Path += "/"
	}
	if u.Path[0] != '/' {
		u.Path = "/" + u.Path
	}
	client, own := o.httpClient()
	cfg = &eio.Config{
		URL: u, Query: o.Query, Header: o.ExtraHeaders,
		Transports: o.Transports, TryAll: o.TryAllTransports, Upgrade: !o.DisableUpgrade,
		Client: client, Timeout: max(0, o.Timeout), RequestTimeout: o.RequestTimeout,
		ForceBase64: o.ForceBase64, TimestampParam: o.TimestampParam,
		Protocols: o.Protocols, MaxMessage: o.MaxMessageSize,
	}
	if o.Query == nil {
		cfg.Query = server.Query()
	}
	if d := o.PerMessageDeflate; d != nil {
		cfg.Deflate = websocket.NewDeflate(deflateOptions(d))
	}
	return cfg, own
}

// httpClient returns the client for all requests. A WebSocket leaves no idle connections
// behind, so the transport of package http serves where nothing is special.
func (o *Options) httpClient() (client *http.Client, own *http.Transport) {
	if o.HTTPClient != nil {
		c := *o.HTTPClient
		if o.WithCredentials && c.Jar == nil {
			c.Jar = newJar()
		}
		return &c, nil
	}
	client = new(http.Client)
	if o.WithCredentials {
		client.Jar = newJar()
	}
	special := o.TLS != nil || o.Proxy != nil || o.DialContext != nil
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !special && (!ok || !slices.Contains(o.Transports, Polling)) {
		return client, nil
	}
	if ok {
		own = standard.Clone()
	} else {
		own = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	own.TLSClientConfig = o.TLS.Clone()
	if o.Proxy != nil {
		own.Proxy = o.Proxy
	}
	if o.DialContext != nil {
		own.DialContext = o.DialContext
	}
	client.Transport = own
	return client, own
}
