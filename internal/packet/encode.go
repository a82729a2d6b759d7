package packet

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// The functions here append to dst, which may already hold the Engine.IO packet
// type and headroom, and return the longer slice as append does. On an error
// they return dst as it was.

// A Header is where a packet goes to, and its ack id. The zero Header is for
// the root namespace and has no id.
type Header struct {
	Namespace string // "" means "/"; must not contain a comma
	ID        uint64 // written if HasID
	HasID     bool
}

// AppendEvent appends the text packet of an event. It returns the attachments
// in the order of their placeholders (SIO-ENC-5), nil if there are none; they
// must follow the text packet on the connection with nothing in between.
//
// Any byte slice reachable through exported fields, slices, arrays, maps,
// pointers or interfaces of an argument becomes an attachment; it is not copied,
// and nothing of the arguments is changed (SIO-ENC-7). Types with a MarshalJSON
// or MarshalText of their own are opaque. A value with attachments is encoded by
// the rules of encoding/json whatever codec is, and everything else that is not
// a simple value by codec, or by [DefaultCodec] if codec is nil.
//
// The name must not be [Reserved]. An error is an [*ArgumentError], or
// [ErrLooksBinary].
func AppendEvent(dst []byte, codec Codec, h Header, name string, args []any) ([]byte, [][]byte, error) {
	return appendPacket(dst, codec, Event, h, &name, args)
}

// AppendAck is like [AppendEvent] for the answer to an event, whose id h has.
func AppendAck(dst []byte, codec Codec, h Header, args []any) ([]byte, [][]byte, error) {
	return appendPacket(dst, codec, Ack, h, nil, args)
}

func appendPacket(dst []byte, codec Codec, t Type, h Header, name *string, args []any) ([]byte, [][]byte, error) {
	e := encoder{dst: dst, codec: codec}
	e.header(t, h)
	start := len(e.dst)
	if err := e.list(name, args); err != nil {
		return dst, nil, err
	}
	if err := CheckWire(e.dst[start:], len(e.attachments)); err != nil {
		return dst, nil, err
	}
	e.setAttachmentCount(len(e.attachments))
	return e.dst, e.attachments, nil
}

// CheckWire returns [ErrLooksBinary] unless peers would find the placeholders of n
// attachments in the JSON array data and no others. It must be one that this package
// has encoded or found valid.
//
// Peers would take an object of the application's that looks like a placeholder for
// one, and close the connection if it stands for nothing.
func CheckWire(data []byte, n int) error {
	if n == 0 || rawjson.CountNames(data) == n && bytes.IndexByte(data, '\\') < 0 {
		return nil
	}
	if !rawjson.EachOnce(rawjson.PlainNames(data), n) {
		return ErrLooksBinary
	}
	return nil
}

// ValidList reports whether data is a JSON array as this package encodes them.
func ValidList(data []byte) bool {
	_, ok := rawjson.ScanList(data, maxWalk)
	return ok && utf8.Valid(data)
}

// CheckData returns [ErrPlaceholder] unless each of n attachments has one placeholder in
// the JSON array data, which must be valid.
func CheckData(data []byte, n int) error {
	if !rawjson.EachOnce(data, n) {
		return ErrPlaceholder
	}
	return nil
}

// AppendEventData appends the JSON of an event without its header: an array of
// its name and arguments. See [AppendEvent]; but what looks like a placeholder is no
// error here: the names of placeholders are spelled without escapes, and others with
// one.
func AppendEventData(dst []byte, codec Codec, name string, args []any) ([]byte, [][]byte, error) {
	return appendList(dst, codec, &name, args)
}

// AppendAckData appends the JSON of an ack without its header. See [AppendAck].
func AppendAckData(dst []byte, codec Codec, args []any) ([]byte, [][]byte, error) {
	return appendList(dst, codec, nil, args)
}

// appendList appends an array. If there are attachments and something looks like one
// of their placeholders, which is rare, it does so twice.
func appendList(dst []byte, codec Codec, name *string, args []any) ([]byte, [][]byte, error) {
	e := encoder{dst: dst, codec: codec}
	err := e.list(name, args)
	if n := len(e.attachments); n > 0 && err == nil && rawjson.CountNames(e.dst[len(dst):]) > n {
		e = encoder{dst: dst, codec: codec, hide: true}
		err = e.list(name, args)
	}
	if err != nil {
		return dst, nil, err
	}
	return e.dst, e.attachments, nil
}

// AppendWithData appends the text packet of an event or ack whose JSON there is
// already, with that many attachments.
func AppendWithData(dst []byte, t Type, h Header, data []byte, attachments int) []byte {
	e := encoder{dst: dst}
	e.header(t, h)
	e.dst = append(e.dst, data...)
	e.setAttachmentCount(attachments)
	return e.dst
}

// EscapeReplacements appends a text packet, which has to be one of this package's, with an
// escape in its JSON for each U+FFFD.
func EscapeReplacements(dst, p []byte) []byte {
	json := p[1:] // behind the type
	if t := Type(p[0] - '0'); t == binaryEvent || t == binaryAck {
		json = json[bytes.IndexByte(json, '-')+1:]
	}
	_, json = new(Decoder).cutNamespace(json)
	dst = append(dst, p[:len(p)-len(json)]...)
	return append(dst, bytes.ReplaceAll(json, []byte("\ufffd"), []byte(`\ufffd`))...)
}

// AppendConnect appends a CONNECT packet. The data is JSON, an object, or nil
// for none; it is written as it is.
func AppendConnect(dst []byte, namespace string, data []byte) []byte {
	e := encoder{dst: dst}
	e.header(Connect, Header{Namespace: namespace})
	return append(e.dst, data...)
}

// AppendDisconnect appends a DISCONNECT packet.
func AppendDisconnect(dst []byte, namespace string) []byte {
	e := encoder{dst: dst}
	e.header(Disconnect, Header{Namespace: namespace})
	return e.dst
}

// AppendConnectError appends a CONNECT_ERROR packet with v, which must encode as
// an object, or as a string for clients of protocol revision 4 (SIO-V2-4). Byte
// slices in it are encoded as codec does it, never as attachments (SIO-ENC-6).
func AppendConnectError(dst []byte, codec Codec, namespace string, v any) ([]byte, error) {
	e := encoder{dst: dst, codec: codec}
	e.header(ConnectError, Header{Namespace: namespace})
	p, err := AppendValue(e.dst, codec, v)
	if err != nil {
		return dst, err
	}
	return p, nil
}

// AppendValue appends one value that has no attachments.
func AppendValue(dst []byte, codec Codec, v any) ([]byte, error) {
	p, ok, err := appendSimple(dst, v)
	if !ok {
		p, err = appendCodec(dst, codec, v)
	}
	if err != nil {
		return dst, err
	}
	return p, nil
}

// An encoder appends one packet.
type encoder struct {
	dst         []byte
	codec       Codec
	start       int // where the packet's type is in dst
	attachments [][]byte
	hide        bool // spell what looks like a placeholder in another way
}

// header writes the header of a packet without attachments.
func (e *encoder) header(t Type, h Header) {
	e.start = len(e.dst)
	e.dst = append(e.dst, '0'+byte(t))
	if h.Namespace != "" && h.Namespace != "/" { // SIO-ENC-2
		e.dst = append(e.dst, h.Namespace...)
		e.dst = append(e.dst, ',')
	}
	if h.HasID { // SIO-ENC-3
		e.dst = strconv.AppendUint(e.dst, h.ID, 10)
	}
}

// list writes an event's name, if there is one, and arguments.
func (e *encoder) list(name *string, args []any) error {
	e.dst = append(e.dst, '[')
	if name != nil {
		e.dst = rawjson.AppendString(e.dst, *name)
	}
	for i, arg := range args {
		if i > 0 || name != nil {
			e.dst = append(e.dst, ',')
		}
		if err := e.value(arg); err != nil {
			return &ArgumentError{Index: i, Err: err}
		}
	}
	e.dst = append(e.dst, ']')
	return nil
}

// setAttachmentCount makes the packet binary if it has attachments (SIO-ENC-1).
func (e *encoder) setAttachmentCount(attachments int) {
	if attachments == 0 {
		return
	}
	e.dst[e.start] += byte(binaryEvent - Event)
	var count [20]byte
	text := append(strconv.AppendInt(count[:0], int64(attachments), 10), '-')
	e.dst = slices.Insert(e.dst, e.start+1, text...)
}

// value writes one argument.
func (e *encoder) value(v any) error { return e.valueIn(v, 0) }

// valueIn writes a value that is in so many arrays and objects.
func (e *encoder) valueIn(v any, depth int) error {
	start := len(e.dst)
	dst, ok, err := appendSimple(e.dst, v)
	if ok {
		e.dst = dst
		e.hideNames(start)
		return err
	}
	if b, ok := v.([]byte); ok {
		e.bytes(b)
		return nil
	}
	if e.codec == nil {
		if ok, err := e.tree(v, depth); ok {
			return err
		}
	}
	found, err := attachmentsIn(v)
	switch {
	case err != nil:
	case found == 0:
		e.dst, err = appendCodec(e.dst, e.codec, v)
		e.hideNames(start)
	default:
		err = e.binary(v, found&holdsNamed != 0)
	}
	return err
}

// hideNames changes, if e is to do so, the names of what looks like placeholders behind
// start, where no placeholders are.
func (e *encoder) hideNames(start int) {
	if e.hide {
		e.dst = append(e.dst[:start], rawjson.HideNames(e.dst[start:])...)
	}
}

// bytes writes the placeholder of an attachment, or null for a nil slice.
func (e *encoder) bytes(b []byte) {
	if b == nil {
		e.dst = append(e.dst, "null"...)
		return
	}
	e.dst = rawjson.AppendPlaceholder(e.dst, len(e.attachments))
	e.attachments = append(e.attachments, b)
}
