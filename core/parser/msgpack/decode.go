package msgpack

import (
	"fmt"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/msgpackjson"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/text"
)

// A decoder decodes the messages of one connection. Every message is a packet, so
// it needs to remember nothing.
type decoder struct{ limits parser.Limits }

// Decode implements [parser.Decoder].
func (d *decoder) Decode(m parser.Message) (*parser.Packet, error) {
	if !m.Binary {
		return nil, fmt.Errorf("msgpack: %w", errText)
	}
	r := reader{msgpackjson.Reader{In: m.Data, MaxAttachments: d.limits.MaxAttachments, MaxBytes: d.limits.MaxBytes}}
	p, err := r.packet()
	if err != nil {
		return nil, fmt.Errorf("msgpack: %w", err)
	}
	return p, nil
}

// A reader reads a packet.
type reader struct{ msgpackjson.Reader }

// packet reads a packet: a map, whose order does not matter (ECO-MP-1). As in
// JavaScript, members that nobody knows do not count, and the last one of a name
// does.
func (r *reader) packet() (*parser.Packet, error) {
	n, err := r.MapHeader()
	if err != nil {
		return nil, err
	}
	p := new(parser.Packet)
	var seen struct{ packetType, namespace bool }
	for range n {
		var name []byte
		if name, err = r.Str(); err != nil {
			return nil, err
		}
		switch string(name) {
		case "type":
			seen.packetType = true
			err = r.packetType(p)
		case "nsp":
			seen.namespace = true
			err = r.namespace(p)
		case "id":
			err = r.id(p)
		case "data":
			err = r.data(p)
		default:
			err = r.Ignore()
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case len(r.In) > 0: // ECO-MP-8
		return nil, errTrailing
	case !seen.packetType:
		return nil, errType
	case !seen.namespace:
		return nil, errNamespace
	case !hasShape(p.Type, p.Data):
		return nil, errPayload
	}
	return p, nil
}

func (r *reader) packetType(p *parser.Packet) error {
	t, ok := r.Whole(uint64(parser.ConnectError))
	if !ok {
		return errType
	}
	p.Type = parser.Type(t) //nolint:gosec // at most 4
	return nil
}

func (r *reader) namespace(p *parser.Packet) error {
	ns, err := r.Str()
	if err != nil {
		return errNamespace
	}
	p.Namespace = "/"
	if string(ns) != "/" { // which most packets are for, and needs no memory
		p.Namespace = string(text.Valid(ns))
	}
	return nil
}

func (r *reader) id(p *parser.Packet) error {
	p.ID, p.HasID = 0, false
	if r.Undefined() {
		return nil
	}
	if p.ID, p.HasID = r.Whole(packet.MaxID); !p.HasID {
		return errID
	}
	return nil
}

// What there is room for from the start: so much JSON and the first placeholder.
// Larger packets grow.
const (
	firstRoom         = 4 << 10
	sizeOfPlaceholder = len(`{"_placeholder":true,"num":0}`)
)

// data reads the payload. There may be any number of members of that name, of which the
// last one counts: they use the same memory.
func (r *reader) data(p *parser.Packet) error {
	p.Data, p.Attachments = nil, nil
	r.Reset()
	if r.Undefined() { // ECO-MP-2
		return nil
	}
	if r.Out == nil {
		r.Out = make([]byte, 0, min(len(r.In)+len(r.In)/2, firstRoom)+sizeOfPlaceholder)
	}
	err := r.Value(packet.MaxDepth)
	p.Data, p.Attachments = r.Out, r.Attachments
	return err
}
