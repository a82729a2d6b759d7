// Package parser is the seam between a Socket.IO server and the encoding of its
// packets. Only those who bring an encoding of their own need it: everybody
// else leaves [Options.Parser] nil, or sets it to one that there is, such as
// that of package msgpack.
//
// Whatever the encoding, a server handles packets in one form, that of the
// protocol's own parser: JSON in which a placeholder stands for every
// attachment, and the attachments. A [Parser] translates between that and what
// is on the wire, so struct tags, codecs and every check apply to all of them.
//
// [Options.Parser]: https://pkg.go.dev/github.com/sioplug/sioplug/core#Options
package parser

// A Type tells what a packet is for.
type Type byte

// The types of packets, with the values that they have in the protocol (Socket.IO
// protocol §Packet types). Events and acks with attachments have no type of
// their own here: attachments are a matter of encoding.
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

	// Data is JSON in valid UTF-8, or nil for none. Of an Event it is an array
	// that begins with the event's name, of an Ack an array, of a Connect and a
	// ConnectError an object; a Disconnect has none.
	Data []byte

	// Attachments are the binary values of an Event or an Ack, or what a Decoder
	// found in a Connect. In Data, the object {"_placeholder":true,"num":0} stands
	// for the first one, and so on. Each has exactly one such object, in any order.
	//
	// If there are attachments, an object of the application's that looks like that
	// has an escape in the name of its member: {"\u005fplaceholder":true,"num":0}.
	// To JSON that is the same name. A parser that cannot tell the two apart on the
	// wire returns an error for such a packet.
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
	// Encode returns the messages that carry p, in order, at least one. It must
	// neither change p nor keep it, nor may the messages share its memory. An
	// error is that of the call that emits.
	Encode(p *Packet) ([]Message, error)

	// NewDecoder returns a decoder for one connection.
	NewDecoder(l Limits) Decoder
}

// A Decoder decodes the messages of one connection, whose calls do not overlap.
type Decoder interface {
	// Decode takes the next message. It returns nil and no error if the packet
	// needs more of them. The packet must not share memory with m, which is
	// only valid during the call.
	//
	// What a peer sends is the decoder's to doubt: it must return an error for
	// what is no packet, and bound what it allocates. The server checks Data and
	// the placeholders in it. After an error the connection is closed.
	Decode(m Message) (*Packet, error)
}

// Limits bound what a [Decoder] may allocate for one packet, beyond the size of
// a message, which the transport bounds. They come from the server's Options.
type Limits struct {
	MaxAttachments int // how many binary values
	MaxBytes       int // how many bytes they may have together
}
