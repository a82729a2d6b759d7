package sio

import (
	"fmt"

	"github.com/sioplug/sioplug/core/engine"
)

// PerMessageDeflate are the settings of [Options.PerMessageDeflate].
type PerMessageDeflate = engine.PerMessageDeflate

// The windows that can be asked for. RFC 7692 has one of 8 bits, too, which
// zlib, and so most clients, cannot compress with.
const (
	minWindowBits = 9
	maxWindowBits = 15
)

const maxDeflateLevel = 9

// checkDeflate panics on what can only be a mistake.
func checkDeflate(p *PerMessageDeflate) {
	if p == nil {
		return
	}
	if p.Threshold < 0 {
		misuse("Options.PerMessageDeflate.Threshold is negative: leave it 0 for the default, 1 compresses everything")
	}
	if p.Level < 0 || p.Level > maxDeflateLevel {
		misuse(fmt.Sprintf("Options.PerMessageDeflate.Level is %d: use 1 (fastest) to %d (smallest), 0 for the default",
			p.Level, maxDeflateLevel))
	}
	checkWindow("Server", p.ServerMaxWindowBits)
	checkWindow("Client", p.ClientMaxWindowBits)
}

func checkWindow(whose string, bits int) {
	if bits != 0 && (bits < minWindowBits || bits > maxWindowBits) {
		misuse(fmt.Sprintf("Options.PerMessageDeflate.%sMaxWindowBits is %d: use %d to %d, 0 for the default",
			whose, bits, minWindowBits, maxWindowBits))
	}
}
