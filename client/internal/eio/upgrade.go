package eio

import (
	"context"
	"errors"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// probeTimeout bounds a probe if Config.Timeout does not.
const probeTimeout = 20 * time.Second

// An upgrade is an attempt to move from polling to WebSocket (CLI-TR-4). When the server
// has answered the probe, nothing more is posted or polled. When the last POST and the last
// poll have ended, the session moves.
type upgrade struct {
	ws        *wsTransport // probes
	paused    bool         // the server has answered the probe
	pollEnded bool
	timer     *time.Timer
}

func text(s string) *frame.Frame { return frame.Text(append(frame.Buffer(len(s)), s...)) }

// probe opens a WebSocket and reads it, if the session moves to it until the end.
func (e *Engine) probe() error {
	timeout := e.cfg.Timeout
	if timeout <= 0 {
		timeout = probeTimeout
	}
	ctx, cancel := context.WithTimeout(e.ctx, timeout)
	defer cancel()
	t, err := e.dial(ctx, e.sid, text("2probe"))
	if err != nil {
		return err
	}
	e.mu.Lock()
	if e.state != stateOpen {
		e.mu.Unlock()
		t.close()
		return nil
	}
	e.upgrade.ws = t
	e.upgrade.timer = time.AfterFunc(timeout, t.close) // the read loop ends the probe
	e.mu.Unlock()
	go rescue.Do(func() error { return t.conn.Serve(t) }, t.readEnded) // ends with the session, or the probe
	return nil
}

func (e *Engine) probeEnded(err error) {
	if err != nil {
		e.reportUpgrade(err)
	}
}

func (e *Engine) reportUpgrade(err error) {
	e.mu.Lock()
	open := e.state == stateOpen
	e.mu.Unlock()
	if open {
		e.h.Upgraded(err)
	}
}

var errProbe = errors.New("the answer to the probe is wrong")

// probeAnswered is called for messages of a WebSocket that probes.
func (e *Engine) probeAnswered(t *wsTransport, binary bool, p []byte) {
	if pkt, err := payload.Decode(p); binary || err != nil || pkt.Type != payload.Pong || string(pkt.Data) != "probe" {
		t.close() // the read loop reports it
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != stateOpen || e.upgrade.ws != t {
		return
	}
	e.upgrade.paused = true
	e.commitUpgradeLocked()
}

// commitUpgradeLocked moves the session, if nothing is on its way by polling.
func (e *Engine) commitUpgradeLocked() {
	u := &e.upgrade
	if !u.paused || !u.pollEnded || e.send.writing || e.state != stateOpen {
		return
	}
	e.ws = u.ws
	e.ws.active = true
	u.timer.Stop()
	e.upgrade = upgrade{}
	first := text("5")
	e.send.frames = append([]*frame.Frame{first}, e.send.frames...)
	e.send.bytes += first.Memory()
	e.flushLocked()
	go e.reportUpgrade(nil) // ends with the handler
}

// probeFailed goes on polling. The WebSocket of the probe has ended.
func (e *Engine) probeFailed(t *wsTransport, err error) {
	e.mu.Lock()
	if e.upgrade.ws != t {
		e.mu.Unlock()
		return
	}
	e.abandonProbeLocked()
	e.mu.Unlock()
	e.reportUpgrade(errors.Join(errProbe, err))
}

// abandonProbeLocked goes on polling.
func (e *Engine) abandonProbeLocked() {
	t, restart := e.upgrade.ws, e.upgrade.pollEnded
	if t == nil {
		return
	}
	e.upgrade.timer.Stop()
	e.upgrade = upgrade{}
	go t.close() // ends at once
	if restart {
		none := payload.Reader{}
		go rescue.Do(func() error { return e.poll(&none) }, e.pollEnded) // ends with the session, or the next upgrade
	}
	e.flushLocked()
}
