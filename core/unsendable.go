package sio

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/interval"
)

// unsendableInterval is how often a namespace logs that broadcasts of other servers
// cannot be sent to its clients. A client of such a server may cause many.
const unsendableInterval = time.Minute

// unsendable counts the broadcasts of other servers that cannot be sent to clients.
type unsendable struct {
	since  atomic.Int64 // how many there were since the last record
	record interval.Limit
}

// noteUnsendable logs such a broadcast, unless it is too early for another record.
func (n *Namespace) noteUnsendable(err error) {
	n.unsendable.since.Add(1)
	if !n.unsendable.record.Allow(unsendableInterval) {
		return
	}
	n.server.log().Error("broadcasts of other servers cannot be sent to clients",
		slog.String("ns", n.name), slog.Int64("count", n.unsendable.since.Swap(0)), errAttr(err))
}
