// Package parser has the interfaces between a Socket.IO server and the encoding of its
// packets. You need this package to write a parser for another encoding. To use an
// existing parser, such as that of package msgpack, set [Options.Parser].
//
// Inside the server, all packets have the form of the protocol's own parser: JSON in which
// a placeholder stands for every attachment, and the attachments. A [Parser] translates
// between that form and the encoding on the wire. So struct tags, codecs and all checks
// are the same for every parser.
//
// [Options.Parser]: https://pkg.go.dev/github.com/sioplug/sioplug/core#Options
package parser

// A Type is the type of a packet.
type Type byte

// The types of packets, with their values in the protocol (Socket.IO protocol §Packet
// types). Events and acks with attachments have no types of their own here, because
// attachments are a matter of encoding.
const (
	Connect      Type = 0 // a client asks for, or a server grants, a namespace
	Disconnect   Type = 1 // the sender leaves a namespace
	Event        Type = 2 // a name and arguments
	Ack          Type = 3 // the answer to an event that had an id
	ConnectError Type = 4 // a server refuses a namespace
)

// A Packet is one packet, on its way in or out.
type Packet struct {
	Type      Type
	Namespace string // with its leading slash
	ID        uint64 // ack id, at most 2^53-1; meaningless unless HasID
	HasID     bool

	// Data is JSON in valid UTF-8, or nil. For an Event it is an array that begins
	// with the event's name, for an Ack an array, for a Connect or a ConnectError an
	// object. A Disconnect has none.
	Data []byte

	// Attachments are the binary values of an Event or an Ack. A Decoder may also find
	// some in a Connect. In Data, the object {"_placeholder":true,"num":0} stands for
	// the first one, and so on. Each has exactly one such object, in any order.
	//
	// If there are attachments, an object of the application that looks like a
	// placeholder has an escape in its name: {"\u005fplaceholder":true,"num":0}. In
	// JSON that is the same name. If the encoding on the wire cannot tell the two
	// apart, Encode has to return an error.
	Attachments [][]byte
}

// A Message is one Engine.IO message.
type Message struct {
	Binary bool
	Data   []byte
}

// A Parser encodes and decodes packets. Both ends of a connection have to use
// the same one. It must be safe for concurrent use.
type Parser interface {
	// Encode returns the messages for p, in order, at least one. It must not change or
	// keep p, and the messages must not share its memory. If it returns an error, the
	// call that emits returns that error.
	Encode(p *Packet) ([]Message, error)

	// NewDecoder returns a decoder for one connection.
	NewDecoder(l Limits) Decoder
}

// A Decoder decodes the messages of one connection, whose calls do not overlap.
type Decoder interface {
	// Decode takes the next message. If the packet needs more messages, it returns nil
	// and no error. The packet must not share memory with m, which is only valid during
	// the call.
	//
	// Messages are not trusted: Decode must return an error for a message that is no
	// packet, and must bound the memory that it allocates. The server checks Data and
	// the placeholders in it. After an error the server closes the connection.
	Decode(m Message) (*Packet, error)
}

// Limits bound the attachments of one packet for a [Decoder]. The transport bounds the size
// of a message. The limits come from the server's Options.
type Limits struct {
	MaxAttachments int // number of binary values
	MaxBytes       int // bytes of all binary values together
}
