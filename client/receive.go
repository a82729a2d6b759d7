package sioclient

import (
	"encoding/json"
	"errors"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/serial"
)

// readAheadFactor is how many times Options.MaxPendingBytes may wait beyond that while a
// call waits for an acknowledgement.
const readAheadFactor = 8

var (
	errNoSID = errors.New("sioclient: the server's answer has no id: it speaks version 2 of Socket.IO, " +
		"for which this client is too new")
	errTooEarly = errors.New("sioclient: the server sent too many events before it accepted the socket")
)

// receiveLocked handles a packet of the server. It returns an event for its handlers, or
// nil.
func (s *Socket) receiveLocked(k packet.Packet) *event {
	switch k.Type {
	case packet.Connect:
		s.acceptedLocked(k.Data)
	case packet.ConnectError:
		s.refusedLocked(k.Data)
	case packet.Disconnect:
		s.leaveLocked(&DisconnectError{Reason: ReasonServerDisconnect})
	case packet.Event:
		return s.receiveEventLocked(k)
	case packet.Ack:
		if !k.HasID {
			return nil
		}
		if w := s.takeAckLocked(k.ID); w != nil { // CLI-EM-7
			w.settleLocked(k.Args, nil)
		}
	default:
	}
	return nil
}

// acceptedLocked handles the answer to CONNECT, in the order of CLI-EM-2.
func (s *Socket) acceptedLocked(data []byte) {
	if s.connected || !s.asked {
		return
	}
	var reply struct {
		SID string `json:"sid"`
		PID string `json:"pid"`
	}
	if err := json.Unmarshal(data, &reply); err != nil || reply.SID == "" {
		s.asked = false // so it is said once, and the next call of Connect asks again
		s.connectFailedLocked(errNoSID)
		s.m.tellShutdownLocked()
		s.m.line.Start()
		return
	}
	s.connected, s.id = true, reply.SID
	s.recovered = reply.PID != "" && reply.PID == s.pid // CLI-CSR-3
	s.pid = reply.PID
	if !s.recovered {
		s.offset, s.knownOffset = "", false
	}
	early := s.early
	s.early, s.earlySize = nil, 0
	for _, k := range early {
		s.pushEventLocked(s.newEventLocked(k))
	}
	s.sendBufferedLocked()
	s.retryLocked()
	for _, f := range s.on.connectFuncs() {
		s.m.pushLocked(&s.queue, "OnConnect", func() { f(s) })
	}
	s.resolveLocked(nil)
	s.m.line.Start()
}

// refusedLocked handles CONNECT_ERROR.
func (s *Socket) refusedLocked(data []byte) {
	if s.connected || !s.asked {
		return
	}
	s.asked = false
	s.epoch++
	s.deactivateLocked()
	s.connectFailedLocked(serverError(data))
	s.m.line.Start()
}

// serverError returns the error of a server that refuses.
func serverError(data []byte) *sio.Error {
	var e struct {
		Message string `json:"message"`
		Data    any    `json:"data"`
	}
	if err := json.Unmarshal(data, &e); err != nil { // servers of protocol 4 send a string
		var text string
		_ = json.Unmarshal(data, &text)
		return &sio.Error{Message: text}
	}
	return &sio.Error{Message: e.Message, Data: e.Data}
}

func (s *Socket) receiveEventLocked(k packet.Packet) *event {
	if s.connected {
		return s.newEventLocked(k)
	}
	limit := s.m.opts.MaxPendingBytes
	if !s.asked || s.earlySize > limit { // nobody accepts it, or the connection is about to end
		return nil
	}
	if s.earlySize += len(k.Name) + k.Args.Memory() + taskOverhead; s.earlySize > limit {
		c := s.m.conn
		go c.fail(errTooEarly) // ends at once; it needs mu
		return nil
	}
	s.early = append(s.early, k)
	return nil
}

// newEventLocked returns the event of a packet.
func (s *Socket) newEventLocked(k packet.Packet) *event {
	if s.pid != "" && !k.HasID { // those with an id have no offset
		k.Args = s.takeOffsetLocked(k.Args)
	}
	return newEvent(s, k, s.epoch)
}

// pushEventLocked queues an event without a limit.
func (s *Socket) pushEventLocked(e *event) {
	if _, err := s.queue.Push(e.task()); err == nil { // queues are never closed
		s.m.line.Add(&s.queue)
	}
}

// queueEvent queues an event for its handlers. If too many wait, it waits, and the
// connection is not read meanwhile.
func (s *Socket) queueEvent(e *event) {
	if _, err := s.queue.PushWait(e.task(), s.m.limits(), (*source)(s.m)); err == nil {
		s.m.line.Add(&s.queue)
	}
}

// limits bound the tasks that the server can cause.
func (m *Manager) limits() serial.Limits {
	return serial.Limits{Tasks: m.opts.MaxPendingEvents, Bytes: m.opts.MaxPendingBytes}
}

// A source is a Manager that reads events. It implements [serial.Source].
type source Manager

// ReadAhead implements [serial.Source].
func (r *source) ReadAhead(bytes int) bool {
	m := (*Manager)(r)
	if m.ackWaiters.Load() == 0 {
		return false
	}
	if m.ahead.Load()+int64(bytes) > readAheadFactor*int64(m.opts.MaxPendingBytes) {
		m.failBlockedAcks()
		return false
	}
	m.ahead.Add(int64(bytes)) // only the goroutine that reads adds
	return true
}

// Handled implements [serial.Source]. The line may hold its lock, and its lock is taken
// with the Manager's mu held, so it must not take that.
func (r *source) Handled(bytes int) { (*Manager)(r).ahead.Add(-int64(bytes)) }

// Hold implements [serial.Source].
func (r *source) Hold() { (*Manager)(r).line.Start() }

// Release implements [serial.Source].
func (*source) Release() {}
