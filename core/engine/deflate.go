package engine

import (
	"cmp"

	"github.com/sioplug/sioplug/internal/websocket"
)

// PerMessageDeflate are the settings of compression over WebSocket (permessage-deflate,
// RFC 7692). A zero value means the default. Clients that do not offer to compress are
// served without.
//
// A connection that may compress takes about 40 bytes more than another one. All
// connections share the memory of the algorithm: 0.8 MiB for each message that is being
// compressed, 50 KiB for each that is being decompressed. A broadcast is compressed once
// for all its receivers.
//
// With a context takeover, a message may refer to earlier ones. That makes small messages
// that are alike much smaller. In return each connection keeps the last 1<<MaxWindowBits
// bytes of its messages, up to 32 KiB for each direction. Sending takes several times as
// long, because these bytes are processed for every message. A broadcast is compressed
// for each receiver. ServerMaxWindowBits of 11 to 13 is a good compromise.
type PerMessageDeflate struct {
	// Threshold is the size in bytes from which on a message is compressed,
	// 1024 by default. 1 compresses everything.
	Threshold int

	// Level is from 1, the default, which is the fastest, to 9, which
	// compresses best: typically less than a tenth better. It matters only
	// with the largest window; smaller ones have a level of their own.
	Level int

	// ServerContextTakeover is for messages to clients, ClientContextTakeover
	// for those from clients. A client may ask for less.
	ServerContextTakeover bool
	ClientContextTakeover bool

	// ServerMaxWindowBits and ClientMaxWindowBits bound how far back, in bytes
	// and as a power of two from 9 to 15, compressed messages may refer; 15 by
	// default. With a smaller window for clients, connections of clients that do
	// not support the limit are not compressed.
	ServerMaxWindowBits int
	ClientMaxWindowBits int
}

// Defaults of [PerMessageDeflate].
const (
	defaultDeflateThreshold = 1024 // EIO-WD-1
	defaultDeflateLevel     = 1
	defaultWindowBits       = 15
)

// compile returns the compressor, nil if there is none.
func (p *PerMessageDeflate) compile() *websocket.Deflate {
	if p == nil {
		return nil
	}
	return websocket.NewDeflate(websocket.DeflateOptions{
		Threshold:             cmp.Or(p.Threshold, defaultDeflateThreshold),
		Level:                 cmp.Or(p.Level, defaultDeflateLevel),
		ServerContextTakeover: p.ServerContextTakeover,
		ClientContextTakeover: p.ClientContextTakeover,
		ServerMaxWindowBits:   cmp.Or(p.ServerMaxWindowBits, defaultWindowBits),
		ClientMaxWindowBits:   cmp.Or(p.ClientMaxWindowBits, defaultWindowBits),
	})
}
