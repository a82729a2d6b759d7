package eio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// closeTimeout is how long an orderly end may take.
const closeTimeout = 10 * time.Second

// The states of an Engine. It never goes back to an earlier one.
type state uint8

const (
	stateOpening state = iota
	stateOpen
	stateClosing // Close was called: what is queued is still sent
	stateClosed
)

// An Engine is one session. While it is idle it has one goroutine, which reads; net/http
// has two more for each connection of polling.
type Engine struct {
	cfg    *Config
	h      Handler
	ctx    context.Context //nolint:containedctx // of its HTTP requests
	cancel context.CancelFunc

	mu       sync.Mutex
	state    state
	sid      string
	patience time.Duration // from a ping to the end of the session
	maxBody  int           // bytes that a POST may have
	lastPing time.Time     // by the wall clock, which goes on while the process is suspended
	watchdog *time.Timer
	send     sendQueue
	ws       *wsTransport // carries the session; nil for polling
	upgrade  upgrade
	done     chan struct{} // closed at the end; nil if nobody waits
}

// Open begins to open a session, and returns at once.
func Open(cfg *Config, h Handler) *Engine {
	e := &Engine{cfg: cfg, h: h}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	go rescue.Do(e.open, e.openEnded) // ends when a session is open, or with Config.Timeout
	return e
}

// Errors of sessions.
var (
	errTimeout   = errors.New("timeout")
	errNoOpen    = errors.New("the first packet of the server is not an open packet")
	errHandshake = errors.New("the server's open packet cannot be read")
	errClosed    = errors.New("the session has ended")
	errPing      = errors.New("no ping of the server in pingInterval + pingTimeout")
)

// open tries the transports in turn.
func (e *Engine) open() error {
	ctx, cancel := e.ctx, context.CancelFunc(func() {})
	if e.cfg.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(e.ctx, e.cfg.Timeout, errTimeout)
	}
	defer cancel()
	var err error
	for _, t := range e.cfg.Transports {
		if t == WebSocket {
			err = e.openWebSocket(ctx)
		} else {
			err = e.openPolling(ctx)
		}
		if err == nil || !e.cfg.TryAll || ctx.Err() != nil {
			break
		}
	}
	if err != nil && context.Cause(ctx) == errTimeout { //nolint:errorlint // it is not wrapped
		return fmt.Errorf("%w: %w", errTimeout, err)
	}
	return err
}

func (e *Engine) openEnded(err error) {
	if err != nil {
		e.end(TransportError, err)
	}
}

// opened takes the server's open packet.
func (e *Engine) opened(transport string, p payload.Packet, ws *wsTransport) error {
	hs, err := readHandshake(p)
	if err != nil {
		return err
	}
	e.mu.Lock()
	if e.state != stateOpening {
		e.mu.Unlock()
		return errClosed
	}
	e.state, e.sid, e.maxBody, e.ws = stateOpen, hs.SID, hs.maxBody(), ws
	if ws != nil {
		ws.active = true
	}
	e.patience = hs.patience()
	e.lastPing = e.now()
	e.watchdog = time.AfterFunc(e.patience, e.pingTimeout)
	e.mu.Unlock()
	e.h.Opened(transport)
	if transport == Polling && e.cfg.Upgrade &&
		slices.Contains(hs.Upgrades, WebSocket) && slices.Contains(e.cfg.Transports, WebSocket) {
		go rescue.Do(e.probe, e.probeEnded) // ends with the probe, or reads the WebSocket
	}
	return nil
}

// now is the time by the wall clock.
func (e *Engine) now() time.Time {
	if e.cfg.Now != nil {
		return e.cfg.Now()
	}
	return time.Now().Round(0)
}

// receive handles one packet of an open session.
func (e *Engine) receive(p payload.Packet) {
	switch p.Type {
	case payload.Message:
		e.h.Message(p.Binary, p.Data)
	case payload.Ping:
		e.mu.Lock()
		if e.state == stateOpen {
			e.lastPing = e.now()
			e.watchdog.Reset(e.patience) // CLI-TR-11: by pings alone
			if !e.send.pong {            // a server that does not read gets no more of them
				e.send.pong = true
				e.send.push(frame.Text(append(frame.Buffer(1), byte(payload.Pong))))
				e.flushLocked()
			}
		}
		e.mu.Unlock()
		e.h.Ping()
	case payload.Close:
		e.end(TransportClose, nil)
	case payload.Open, payload.Pong, payload.Upgrade, payload.Noop:
	}
}

func (e *Engine) pingTimeout() { e.end(PingTimeout, errPing) }

// Expired reports whether the server's ping is overdue. After the process was suspended,
// the watchdog may be later than the first emit (CLI-EM-8).
func (e *Engine) Expired() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state == stateOpen && e.now().Sub(e.lastPing) > e.patience
}

// Expire ends a session whose ping is overdue. [Handler].Closed is called by another
// goroutine.
func (e *Engine) Expire() { go e.pingTimeout() }

// Fail ends the session because of what the owner has found. [Handler].Closed is not
// called.
func (e *Engine) Fail() { e.finish() }

// Transport returns the name of the transport.
func (e *Engine) Transport() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ws != nil {
		return WebSocket
	}
	return Polling
}

// end ends the session and tells the handler, unless it has ended or is about to.
func (e *Engine) end(reason string, err error) {
	e.mu.Lock()
	was := e.state
	e.finishLocked()
	e.mu.Unlock()
	if was == stateOpening || was == stateOpen {
		e.h.Closed(was == stateOpen, reason, err)
	}
}

// finish ends the session at once.
func (e *Engine) finish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.finishLocked()
}

func (e *Engine) finishLocked() {
	if e.state == stateClosed {
		return
	}
	e.state = stateClosed
	if e.watchdog != nil {
		e.watchdog.Stop()
	}
	e.cancel()
	for _, t := range []*wsTransport{e.ws, e.upgrade.ws} {
		if t != nil {
			go t.close() // ends at once; the network connection may be the application's
		}
	}
	e.send.discard()
	if e.done != nil {
		close(e.done)
	}
}

// Close ends the session when everything that is queued has been sent. It returns at
// once. [Handler].Closed is not called.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch e.state {
	case stateOpening:
		e.finishLocked()
	case stateOpen:
		e.state = stateClosing
		e.watchdog.Stop()
		e.abandonProbeLocked()
		if e.ws != nil {
			e.send.push(frame.Close(0, ""))
		} else {
			e.send.push(frame.Text(append(frame.Buffer(1), byte(payload.Close))))
		}
		e.watchdog = time.AfterFunc(closeTimeout, e.finish)
		e.flushLocked()
	case stateClosing, stateClosed:
	}
}

// Done returns a channel that is closed when the session has ended.
func (e *Engine) Done() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done == nil {
		e.done = make(chan struct{})
		if e.state == stateClosed {
			close(e.done)
		}
	}
	return e.done
}
