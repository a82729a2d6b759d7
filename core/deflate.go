package sio

import (
	"fmt"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/misuse"
)

// PerMessageDeflate are the settings of [Options.PerMessageDeflate]. What it costs
// is told at [engine.PerMessageDeflate]. Its fields:
//
//	Threshold             int  // in bytes, from which on a message is compressed; default: 1024
//	Level                 int  // 1, the default, is the fastest, 9 the smallest
//	ServerContextTakeover bool // messages to clients refer to earlier ones
//	ClientContextTakeover bool // messages of clients may do so
//	ServerMaxWindowBits   int  // 9 to 15, the default
//	ClientMaxWindowBits   int  // 9 to 15, the default
type PerMessageDeflate = engine.PerMessageDeflate

// The windows that can be asked for. RFC 7692 has one of 8 bits, too, which
// zlib, and so most clients, cannot compress with.
const (
	minWindowBits = 9
	maxWindowBits = 15
)

const maxDeflateLevel = 9

// checkDeflate panics if an option can only be a mistake.
func checkDeflate(p *PerMessageDeflate) {
	if p == nil {
		return
	}
	if p.Threshold < 0 {
		misuse.Panic("sio: Options.PerMessageDeflate.Threshold is negative: leave it 0 for the default, 1 compresses everything")
	}
	if p.Level < 0 || p.Level > maxDeflateLevel {
		misuse.Panic(fmt.Sprintf("sio: Options.PerMessageDeflate.Level is %d: use 1 (fastest) to %d (smallest), 0 for the default",
			p.Level, maxDeflateLevel))
	}
	checkWindow("Server", p.ServerMaxWindowBits)
	checkWindow("Client", p.ClientMaxWindowBits)
}

func checkWindow(whose string, bits int) {
	if bits != 0 && (bits < minWindowBits || bits > maxWindowBits) {
		misuse.Panic(fmt.Sprintf("sio: Options.PerMessageDeflate.%sMaxWindowBits is %d: use %d to %d, 0 for the default",
			whose, bits, minWindowBits, maxWindowBits))
	}
}
