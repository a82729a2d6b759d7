// Package packet encodes and decodes Socket.IO packets, protocol revision 5:
//
//	<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]
//
// It is pure: text messages and binary attachments come in and go out as byte
// slices, without the Engine.IO type character. Payloads are checked when they
// arrive but stay raw JSON until somebody knows what to decode them into.
//
// Row ids such as SIO-ENC-1 refer to the project's table of Socket.IO server
// behaviour; the tests carry the same ids.
package packet

import (
	"errors"
	"unsafe"
)

// A Type is the type of a packet. Events and acks with attachments have type characters of
// their own on the wire (5 and 6, SIO-ENC-1), but not here, because attachments are a
// matter of encoding.
type Type byte

// The types of packets, Socket.IO protocol §Packet types. Their values are the
// type characters on the wire.
const (
	Connect      Type = iota // a client asks for, or a server grants, a namespace
	Disconnect               // the sender leaves a namespace
	Event                    // a name and arguments
	Ack                      // the answer to an event that had an id
	ConnectError             // a server refuses a namespace

	binaryEvent // an Event with attachments, on the wire only
	binaryAck   // an Ack with attachments, on the wire only
)

// String returns the type's name as the protocol writes it.
func (t Type) String() string {
	switch t {
	case Connect:
		return "CONNECT"
	case Disconnect:
		return "DISCONNECT"
	case Event:
		return "EVENT"
	case Ack:
		return "ACK"
	case ConnectError:
		return "CONNECT_ERROR"
	case binaryEvent, binaryAck: // are an Event and an Ack here
	}
	return "UNKNOWN"
}

// A Packet is one decoded packet. It owns its memory and may be kept.
type Packet struct {
	Type      Type
	Namespace string // "/" if the packet names none
	ID        uint64 // ack id, at most 2^53-1; meaningless unless HasID
	HasID     bool
	Name      []byte // of an EVENT: its name without escapes, or the text of a numeric name
	Args      Args   // of an EVENT what follows the name, of an ACK everything
	Data      []byte // of a CONNECT or CONNECT_ERROR: JSON, or nil if the packet has none
}

// EventName returns the name of an EVENT. If the name is most of the packet, it shares the
// packet's memory, which never changes. So a long name exists once, and a short name does
// not keep large memory.
func (k *Packet) EventName() string {
	if !k.Args.lent && len(k.Name) > len(k.Args.raw) {
		return unsafe.String(&k.Name[0], len(k.Name)) //nolint:gosec // see above
	}
	return string(k.Name)
}

// MaxDepth is how many arrays and objects may be nested in a received packet, with the list
// of arguments. Decoding nested values needs stack, so the depth needs a bound. This one
// is far above that of usual data, and needs little stack.
const MaxDepth = 512

// MaxID is the largest ack id: the largest integer that a JavaScript peer can
// count to without losing precision.
const MaxID = 1<<53 - 1

// Errors of [Decoder]. The texts are those of the JavaScript server, where it
// has the same error. After any of them the connection is beyond repair
// (SIO-BAD-1).
var (
	ErrEmpty              = errors.New("empty packet")
	ErrInvalidPayload     = errors.New("invalid payload")
	ErrAttachmentCount    = errors.New("Illegal attachments") //nolint:staticcheck // upstream's spelling, seen by users
	ErrTooManyAttachments = errors.New("too many attachments")
	ErrAttachmentBytes    = errors.New("attachments too large")
	ErrPlaceholder        = errors.New("illegal attachments")
	ErrLooksBinary        = errors.New("an object with _placeholder: true cannot be sent together with binary data")
	ErrUnexpectedText     = errors.New("got plaintext data when reconstructing a packet")
	ErrUnexpectedBinary   = errors.New("got binary data when not reconstructing a packet")
)

// Reserved reports whether the name is reserved: server and client use it for an event of
// their own.
func Reserved[T string | []byte](name T) bool {
	switch string(name) {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
