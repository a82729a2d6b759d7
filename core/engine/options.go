package engine

import (
	"log/slog"
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
	MaxSendBuffer     int           // bytes waiting for one client; 16 MiB
	Transports        []string      // polling and websocket
	DisableUpgrades   bool

	// Logger takes what the operator has to mend. What a peer can cause is
	// logged at Debug. Nil means slog.Default().
	Logger *slog.Logger
}

// Defaults of [Options].
const (
	defaultPingInterval      = 25 * time.Second
	defaultPingTimeout       = 20 * time.Second
	defaultUpgradeTimeout    = 10 * time.Second
	defaultMaxHTTPBufferSize = 1e6
	defaultMaxSendBuffer     = 16 << 20
)

func (o Options) withDefaults() Options {
	o.PingInterval = or(o.PingInterval, defaultPingInterval)
	o.PingTimeout = or(o.PingTimeout, defaultPingTimeout)
	o.UpgradeTimeout = or(o.UpgradeTimeout, defaultUpgradeTimeout)
	o.MaxHTTPBufferSize = or(o.MaxHTTPBufferSize, defaultMaxHTTPBufferSize)
	o.MaxSendBuffer = or(o.MaxSendBuffer, defaultMaxSendBuffer)
	o.Transports = slices.Clone(o.Transports)
	if len(o.Transports) == 0 {
		o.Transports = []string{Polling, WebSocket}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
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
