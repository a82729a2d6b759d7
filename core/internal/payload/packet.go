// Package payload encodes and decodes Engine.IO packets and the payloads in
// which long-polling carries several of them.
package payload

import (
	"encoding/base64"
	"errors"
	"unicode/utf8"
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

// binaryMark stands in front of a binary message that has to travel as text.
const binaryMark = 'b'

// A Packet is one decoded packet. Data aliases what it was decoded from,
// except for binary messages that came as base64.
type Packet struct {
	Type   Type
	Binary bool
	Data   []byte
}

// Errors of the decoders. A session that sends something of the kind is closed
// with the reason "parse error".
var (
	ErrEmpty   = errors.New("empty packet")
	ErrType    = errors.New("unknown packet type")
	ErrUTF8    = errors.New("text packet is not UTF-8")
	ErrBase64  = errors.New("binary packet is not base64")
	errUnended = errors.New("no next packet")
)

// Decode decodes a text packet (EIO-DEC-1 to EIO-DEC-4). A binary message
// outside of a payload needs no decoding: its bytes are the message.
func Decode(p []byte) (Packet, error) {
	if len(p) == 0 {
		return Packet{}, ErrEmpty
	}
	switch t := Type(p[0]); {
	case t == binaryMark:
		data, err := decodeBase64(p[1:])
		return Packet{Type: Message, Binary: true, Data: data}, err
	case t < Open || t > Noop:
		return Packet{}, ErrType
	case !utf8.Valid(p):
		return Packet{}, ErrUTF8
	default:
		return Packet{Type: t, Data: p[1:]}, nil
	}
}

// decodeBase64 takes both alphabets, with and without padding, because the
// reference does and some clients rely on it (EIO-DEC-2). It refuses the rest
// instead of guessing.
func decodeBase64(p []byte) ([]byte, error) {
	for len(p) > 0 && p[len(p)-1] == '=' {
		p = p[:len(p)-1]
	}
	enc := base64.RawStdEncoding
	for _, c := range p {
		if c == '-' || c == '_' {
			enc = base64.RawURLEncoding
			break
		}
	}
	out := make([]byte, enc.DecodedLen(len(p)))
	n, err := enc.Decode(out, p)
	if err != nil {
		return nil, ErrBase64
	}
	return out[:n], nil
}

// AppendBinary appends a binary message in its text form (EIO-ENC-4).
func AppendBinary(dst, data []byte) []byte {
	return base64.StdEncoding.AppendEncode(append(dst, binaryMark), data)
}
