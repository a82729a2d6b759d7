package sioclient

import (
	"cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/websocket"
)

// Defaults of [sio.PerMessageDeflate].
const (
	defaultDeflateThreshold = 1024
	defaultDeflateLevel     = 1
	defaultWindowBits       = 15
)

func deflateOptions(d *sio.PerMessageDeflate) websocket.DeflateOptions {
	return websocket.DeflateOptions{
		Threshold:             cmp.Or(d.Threshold, defaultDeflateThreshold),
		Level:                 cmp.Or(d.Level, defaultDeflateLevel),
		ServerContextTakeover: d.ServerContextTakeover,
		ClientContextTakeover: d.ClientContextTakeover,
		ServerMaxWindowBits:   cmp.Or(d.ServerMaxWindowBits, defaultWindowBits),
		ClientMaxWindowBits:   cmp.Or(d.ClientMaxWindowBits, defaultWindowBits),
	}
}
