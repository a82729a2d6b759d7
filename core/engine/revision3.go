package engine

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
)

// What clients of old need: revision 3 of the protocol, which Socket.IO 1 and 2
// speak, browsers that cannot receive binary, and those that cannot even make
// requests across origins and load scripts instead (EIO sections 9 and 14).

// A dialect is how a client wants to be spoken to. Its handshake settles that
// for the whole session (EIO-V3-1, EIO-V3-4). The zero dialect is revision 4 on
// a transport that takes binary: almost everybody's.
type dialect uint8

const (
	revision3  dialect = 1 << iota
	base64Only         // binary messages go as text
	jsonp              // polling is done by scripts and forms
)

// dialectOf returns what a handshake asks for. JSONP has no way to carry binary
// (EIO-JP-5).
func dialectOf(q url.Values) dialect {
	var d dialect
	if protocolOf(q) != 4 {
		d |= revision3
	}
	if last(q, "b64") != "" {
		d |= base64Only
	}
	if q.Has("j") && last(q, "transport") == Polling {
		d |= jsonp | base64Only
	}
	return d
}

// protocolOf returns the revision that a request is made in. Whatever does not
// claim to be revision 4 counts as revision 3 (EIO-V3-1).
func protocolOf(q url.Values) int {
	if last(q, "EIO") == "4" {
		return 4
	}
	return 3
}

func (d dialect) has(feature dialect) bool { return d&feature != 0 }

// Protocol returns the revision of the Engine.IO protocol that the client
// speaks, 4 or 3.
func (s *Session) Protocol() int {
	if s.dialect.has(revision3) {
		return 3
	}
	return 4
}

// decode decodes a message from a WebSocket.
func (d dialect) decode(binary bool, p []byte) (payload.Packet, error) {
	switch {
	case d.has(revision3) && binary:
		return payload.DecodeBinaryV3(p)
	case d.has(revision3):
		return payload.DecodeV3(p)
	case binary:
		return payload.Packet{Type: payload.Message, Binary: true, Data: p}, nil
	default:
		return payload.Decode(p)
	}
}

// translate returns the frames as this client wants them. Text is the same for
// everybody. Frames may be on their way to other clients as well, so they stay
// as they are.
func (d dialect) translate(frames []*frame.Frame) []*frame.Frame {
	var out []*frame.Frame // a copy, when there is something to change
	for i, f := range frames {
		if !f.Binary() {
			continue
		}
		if out == nil {
			out = append(out, frames...)
		}
		out[i] = d.translateBinary(f.Payload())
		if f.Uncompressed() {
			out[i].SetUncompressed()
		}
	}
	if out == nil {
		return frames
	}
	return out
}

func (d dialect) translateBinary(data []byte) *frame.Frame {
	const overhead = 4 // of base64, with what stands before it
	switch {
	case !d.has(base64Only): // EIO-V3-12
		return frame.Binary(payload.AppendBinaryV3(frame.Buffer(1+len(data)), data))
	case d.has(revision3):
		return frame.Text(payload.AppendBase64V3(frame.Buffer(overhead+len(data)*4/3), data))
	default: // EIO-ENC-4
		return frame.Text(payload.AppendBinary(frame.Buffer(overhead+len(data)*4/3), data))
	}
}

// The content types of payloads.
const (
	textContent  = "text/plain; charset=UTF-8"
	octetContent = "application/octet-stream"
)

// payload returns the frames as the body of the answer to a poll, and its header.
func (s *Session) payload(frames []*frame.Frame) (body []byte, header http.Header) {
	body, header = make([]byte, 0, s.dialect.payloadSize(frames)), textHeader
	if s.dialect.has(revision3) {
		var octets bool
		if body, octets = payload.AppendV3(body, frames); octets { // EIO-V3-5
			header = octetHeader
		}
	} else {
		body = payload.Append(body, frames)
	}
	if s.dialect.has(jsonp) {
		body, header = jsonpScript(last(s.Request().Query, "j"), body), scriptHeader
	}
	return body, header
}

// payloadSize is about how long the payload of frames will be, and not less for
// those of revision 4.
func (d dialect) payloadSize(frames []*frame.Frame) int {
	size := 0
	for _, f := range frames {
		n := len(f.Payload())
		size += 1 + n // with a separator, or a type
		if f.Binary() {
			size += 4 + n/3
		}
		if d.has(revision3) {
			size += 8 // a length
		}
	}
	return size
}

// A packetReader splits a payload into its packets.
type packetReader interface {
	More() bool
	Next() (payload.Packet, error)
}

// payloadReader returns a reader of what was posted.
func (s *Session) payloadReader(body []byte, octets bool) packetReader {
	if s.dialect.has(jsonp) {
		p, found := jsonpPayload(body)
		if !found { // EIO-JP-4
			return new(payload.Reader)
		}
		body, octets = p, false
	}
	if s.dialect.has(revision3) {
		r := payload.NewReaderV3(body, octets)
		return &r
	}
	r := payload.NewReader(body)
	return &r
}

// jsonpScript returns the call that hands a payload to the client's function of that
// number (EIO-JP-1).
func jsonpScript(index string, body []byte) []byte {
	index = strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, index)
	// Encoded for JSON, a string is one for scripts too, because Marshal escapes
	// U+2028 and U+2029 (EIO-JP-2). It also escapes what could end a script in
	// HTML, should somebody take the answer for a page.
	literal, _ := json.Marshal(string(body)) //nolint:errchkjson // a string always encodes
	out := append([]byte("___eio["+index+"]("), literal...)
	return append(out, ");"...)
}

// jsonpPayload returns the payload that a form was sent with (EIO-JP-3). Without
// one, found is false.
func jsonpPayload(body []byte) (p []byte, found bool) {
	form := parseForm(string(body))
	if !form.Has("d") {
		return nil, false
	}
	return unescapeNewlines([]byte(last(form, "d"))), true
}

// unescapeNewlines turns \n into a newline and \\n into \n (EIO-JP-3). Browsers
// change newlines in forms, so clients hide them; other backslashes stand for
// themselves.
func unescapeNewlines(p []byte) []byte {
	out := p[:0]
	for {
		i := bytes.Index(p, []byte(`\n`))
		switch {
		case i < 0:
			return append(out, p...)
		case i > 0 && p[i-1] == '\\':
			out = append(append(out, p[:i]...), 'n')
		default:
			out = append(append(out, p[:i]...), '\n')
		}
		p = p[i+2:]
	}
}

// answerClientPing answers a client of revision 3, where clients ping (EIO-HB-20), and
// starts anew the wait for its next one.
func (s *Session) answerClientPing() {
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return
	}
	if s.queue.bytes >= s.server.opts.MaxSendBuffer { // by the pongs to a flood, mostly
		s.mu.Unlock()
		s.end(TransportError, ErrSlowClient, closeOptions{discard: true})
		return
	}
	s.awaitClientPingLocked()
	wake := s.enqueueLocked(pongPacket)
	s.mu.Unlock()
	if wake {
		s.server.flushers.Add(s.shard, s)
	}
}

// awaitClientPingLocked starts the wait for a ping; mu is held.
func (s *Session) awaitClientPingLocked() { s.server.clientPingTimers.Set(&s.heartbeat.timer, s) }

// clientPingOverdue ends the session of a client that did not ping in time
// (EIO-HB-21). A deaf session has more time: see Hold.
func (s *Session) clientPingOverdue() {
	s.mu.Lock()
	overdue := s.state == stateOpen && s.server.clientPingTimers.Passed(&s.heartbeat.timer)
	if overdue && s.readPausedLocked() && !s.pausedTooLongLocked() {
		s.awaitClientPingLocked()
		overdue = false
	}
	s.mu.Unlock()
	if overdue {
		s.end(PingTimeout, nil, closeOptions{discard: true})
	}
}
