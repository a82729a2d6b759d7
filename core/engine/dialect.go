package engine

import (
	"net/http"
	"net/url"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
)

// A dialect is how packets are encoded for a client. The handshake decides that for
// the whole session (EIO-V3-1, EIO-V3-4). The zero dialect is revision 4 with binary
// frames, which nearly all clients use.
type dialect uint8

const (
	revision3  dialect = 1 << iota // Engine.IO 3, of Socket.IO 1 and 2: see revision3.go
	base64Only                     // binary messages are sent as text
	jsonp                          // polling by scripts and forms: see jsonp.go
)

// dialectOf returns what a handshake asks for. JSONP cannot carry binary
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

// protocolOf returns the revision that a request is made in. A request that does not
// name revision 4 counts as revision 3 (EIO-V3-1).
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

// translate returns the frames as this client wants them. The frames that it is given
// may be queued for other clients as well, so it does not change them.
func (d dialect) translate(frames []*frame.Frame) []*frame.Frame {
	if d == 0 {
		return frames
	}
	return d.translateAll(frames)
}

// translateAll is translate for other dialects than zero. Text is the same in all
// dialects.
func (d dialect) translateAll(frames []*frame.Frame) []*frame.Frame {
	var out []*frame.Frame // a copy, made for the first frame that has to change
	for i, f := range frames {
		if !f.Binary() {
			continue
		}
		if out == nil {
			out = append(out, frames...)
		}
		out[i] = d.translateBinary(f.Payload())
		out[i].CopyPolicy(f)
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
	const overhead = 4 // the padding of base64, and the characters in front
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

// payload returns the body and the header of the answer to a poll.
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

// payloadSize estimates the length of a payload. For revision 4 it is an upper
// bound.
func (d dialect) payloadSize(frames []*frame.Frame) int {
	size := 0
	for _, f := range frames {
		n := len(f.Payload())
		size += 1 + n // a separator or a type
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

// payloadReader returns a reader of the body of a POST.
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
