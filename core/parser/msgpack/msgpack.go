// Package msgpack encodes Socket.IO packets as MessagePack, as the npm package
// socket.io-msgpack-parser does, byte for byte:
//
//	srv := sio.New(&sio.Options{Parser: msgpack.Parser{}})
//
// Clients have to use that package, or the client's bundle that has it built in,
// socket.io.msgpack.min.js:
//
//	import * as parser from "socket.io-msgpack-parser";
//	const socket = io({ parser });
//
// A packet is one binary message, its binary values included. The server may send any
// number of binary values in one packet. Clients may send as many as
// Options.MaxAttachments allows, 15,625 by default. Handlers do not see the encoding:
// struct tags and [sio.Options.JSON] apply as without it.
//
// Values that JSON does not have are converted as JSON.stringify does. From clients,
// undefined is left out of objects and is null in arrays. Dates are strings, NaN and
// infinities are null, and any typed array or ArrayBuffer is binary data. To clients, a
// [time.Time] is a string and not a Date.
//
// Whole numbers keep their precision up to 64 bits in both directions, but JavaScript
// rounds them beyond 2^53. For whole floats beyond that the bytes may differ from
// those of the npm package, which JavaScript reads as the same number.
//
// [sio.Options.JSON]: https://pkg.go.dev/github.com/sioplug/sioplug/core#Options
package msgpack

import (
	"errors"

	"github.com/sioplug/sioplug/core/parser"
)

// Why something is no packet.
var (
	errText      = errors.New("text message")
	errTrailing  = errors.New("trailing bytes")
	errType      = errors.New("invalid packet type")
	errNamespace = errors.New("invalid namespace")
	errPayload   = errors.New("invalid payload")
	errID        = errors.New("invalid packet id")
)

// Parser is the encoding, for [sio.Options.Parser]. It is stateless.
//
// [sio.Options.Parser]: https://pkg.go.dev/github.com/sioplug/sioplug/core#Options
type Parser struct{}

// NewDecoder implements [parser.Parser].
func (Parser) NewDecoder(l parser.Limits) parser.Decoder { return &decoder{limits: l} }

// hasShape reports whether data is what packets of a type carry, by its first byte.
func hasShape(t parser.Type, data []byte) bool {
	var first byte // of no data
	if len(data) > 0 {
		first = data[0]
	}
	switch t {
	case parser.Connect:
		return first == 0 || first == '{'
	case parser.Disconnect:
		return first == 0
	case parser.ConnectError:
		return first == '{' || first == '"'
	case parser.Event, parser.Ack:
		return first == '['
	}
	return false
}
