// Package payload encodes and decodes Engine.IO packets and the payloads in
// which long-polling carries several of them.
package payload

import (
	"encoding/base64"
	"errors"

	"github.com/sioplug/sioplug/internal/text"
)

// A Type is the first character of a packet in its text form (Engine.IO
// protocol, "Packet encoding").
type Type byte

// The packet types of revision 4.
const (
	Open    Type = '0'
	Close   Type = '1'
	Ping    Type = '2'
	Pong    Type = '3'
	Message Type = '4'
	Upgrade Type = '5'
	Noop    Type = '6'
)

// base64Mark stands in front of a binary message that has to travel as text.
const base64Mark = 'b'

// A Packet is one decoded packet. Data aliases the input, except for binary messages that
// came as base64 and text that was not UTF-8.
type Packet struct {
	Type   Type
	Binary bool
	Data   []byte
}

// Errors of the decoders. A session that sends something of the kind is closed
// with the reason "parse error".
var (
	ErrEmpty    = errors.New("empty packet")
	ErrType     = errors.New("unknown packet type")
	errNoPacket = errors.New("no next packet")
)

// Decode decodes a text packet (EIO-DEC-1 to EIO-DEC-4). Invalid UTF-8 becomes U+FFFD. A
// binary message outside of a payload needs no decoding: its bytes are the message.
func Decode(p []byte) (Packet, error) {
	if len(p) == 0 {
		return Packet{}, ErrEmpty
	}
	switch t := Type(p[0]); {
	case t == base64Mark:
		return Packet{Type: Message, Binary: true, Data: text.Base64(p[1:])}, nil
	case t < Open || t > Noop:
		return Packet{}, ErrType
	default:
		return Packet{Type: t, Data: text.Valid(p[1:])}, nil
	}
}

// AppendBinary appends a binary message in its text form (EIO-ENC-4).
func AppendBinary(dst, data []byte) []byte {
	return base64.StdEncoding.AppendEncode(append(dst, base64Mark), data)
}
