package sioclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
	"github.com/sioplug/sioplug/internal/rescue"
)

// auth is what a socket sends with CONNECT. It is guarded by the Manager's mu.
type auth struct {
	value any
	call  func(ctx context.Context) (any, error)
}

// SetAuth sets what is sent with each CONNECT from now on: see Options.Auth.
func (s *Socket) SetAuth(value any) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.auth = auth{value: value}
}

// SetAuthFunc sets the function that is called before each CONNECT from now on: see
// Options.AuthFunc.
func (s *Socket) SetAuthFunc(f func(ctx context.Context) (any, error)) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.auth = auth{call: f}
}

// sendConnectLocked asks the server for the namespace, if the socket is to be connected.
func (s *Socket) sendConnectLocked() {
	if !s.active || s.connected || s.asked {
		return
	}
	s.asked = true
	c, a, epoch := s.m.conn, s.auth, s.epoch
	if a.value == nil && a.call == nil && s.m.opts.Parser == nil { // the usual case, without code of the application's
		frames, _ := s.m.wire.connect(s.ns, s.withSessionLocked(nil)) // only a parser may fail
		c.engine.Send(frames...)
		return
	}
	go s.askAuth(c, a, epoch) // ends with AuthFunc, whose context ends with the connection
}

// askAuth sends CONNECT with the result of AuthFunc.
func (s *Socket) askAuth(c *conn, a auth, epoch uint64) {
	var data []byte
	err := rescue.Apart(func() (err error) {
		if a.call != nil {
			if a.value, err = a.call(c.ctx); err != nil {
				return err
			}
		}
		data, err = s.m.encodeAuth(a.value)
		return err
	})
	m := s.m
	m.mu.Lock()
	data = s.withSessionLocked(data)
	m.mu.Unlock()
	var frames []*frame.Frame
	if err == nil {
		frames, err = m.wire.connect(s.ns, data)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != c || s.epoch != epoch || !s.asked {
		return
	}
	if err != nil {
		s.authFailedLocked(c, fmt.Errorf("sioclient: auth: %w", err))
	} else {
		s.authFails = 0
		c.engine.Send(frames...)
	}
	m.line.Start()
}

// authFailedLocked has AuthFunc called again later.
func (s *Socket) authFailedLocked(c *conn, err error) {
	s.connectFailedLocked(err)
	if s.m.opts.DisableReconnection {
		s.deactivateLocked()
		s.lostLocked(&DisconnectError{Reason: ReasonForcedClose, Err: err})
		return
	}
	epoch := s.epoch
	s.authTimer = time.AfterFunc(s.m.backoff.delay(s.authFails), func() {
		m := s.m
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.conn == c && s.epoch == epoch && s.asked {
			s.asked = false
			s.sendConnectLocked()
		}
	})
	s.authFails++
}

var errAuthObject = errors.New("the auth payload does not encode as a JSON object")

// encodeAuth returns the auth payload as a JSON object, nil for none.
func (m *Manager) encodeAuth(value any) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	data, err := packet.AppendValue(nil, m.wire.codec, value)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 || data[0] != '{' {
		return nil, errAuthObject
	}
	return data, nil
}

// withSessionLocked returns the auth payload with the private id and the offset of the last
// event, if the socket has a session to recover. Members of the payload win, because they
// come last (CLI-RC-6).
func (s *Socket) withSessionLocked(data []byte) []byte {
	if s.pid == "" {
		return data
	}
	own := rawjson.AppendString([]byte(`{"pid":`), s.pid)
	if s.offset != "" {
		own = rawjson.AppendString(append(own, `,"offset":`...), s.offset)
	}
	if len(data) <= len("{}") {
		return append(own, '}')
	}
	return append(append(own, ','), data[1:]...)
}
