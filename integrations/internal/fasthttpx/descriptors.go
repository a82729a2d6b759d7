package fasthttpx

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/interval"
)

// spareDescriptors is how many there have to be before the next connection is accepted.
// Others take some meanwhile: an upgrade needs two for a moment.
const spareDescriptors = 8

// KeepDescriptors has a server that is to listen by itself, without [NewListener],
// accept no connection while there are hardly any descriptors left. fasthttp calls a
// server's ConnState between two connections, before it accepts the next one.
//
// Whatever else the program opens in that moment is not known, so it is less than what
// NewListener does.
func KeepDescriptors(s *fasthttp.Server, srv *sio.Server) {
	_ = spare() // what it needs has to be there before there is nothing left
	g := &descriptorGate{most: sync.OnceValue(mostDescriptors), spare: spare, log: srv.Options().Logger, next: s.ConnState}
	s.ConnState = g.connState
}

// A descriptorGate is between the connections of a server. As descriptors are given out
// from the lowest one that is free, there is nothing to do before a high one was seen.
type descriptorGate struct {
	most  func() int   // the number of descriptors that the process can have
	spare func() error // fails if there are too few descriptors
	log   *slog.Logger
	next  func(c net.Conn, state fasthttp.ConnState) // nil if there was none

	high    atomic.Bool // one was seen
	reports interval.Limit
}

func (g *descriptorGate) connState(c net.Conn, state fasthttp.ConnState) {
	if state == fasthttp.StateNew && g.scarce(c) {
		g.wait()
	}
	if g.next != nil {
		g.next(c, state)
	}
}

// scarce reports whether there may be few descriptors left.
func (g *descriptorGate) scarce(c net.Conn) bool {
	if g.high.Load() {
		return true
	}
	most := g.most()
	n, ok := descriptor(c)
	if ok && n < most-max(most/8, 2*spareDescriptors) { //nolint:mnd // an eighth
		return false
	}
	g.high.Store(true)
	return true
}

func descriptor(c net.Conn) (n int, ok bool) {
	raw, ok := rawConn(c)
	if !ok {
		return 0, false
	}
	err := raw.Control(func(fd uintptr) { n = int(fd) })
	return n, err == nil
}

func (g *descriptorGate) wait() {
	var wait backOff
	for {
		err := g.spare()
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
			return // enough, or who knows
		}
		g.report()
		<-time.After(wait.next())
	}
}

// report logs once a minute what the operator has to know.
func (g *descriptorGate) report() {
	if g.reports.Allow(time.Minute) {
		g.log.Error("no file descriptors are left, so new connections wait: raise the limit of open files (ulimit -n)")
	}
}
