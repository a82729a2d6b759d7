package msgpack

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/tinylib/msgp/msgp"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/msgpackjson"
	"github.com/sioplug/sioplug/internal/packet"
)

// An encoder appends packets.
type encoder struct{ msgpackjson.Encoder }

// maxKept is the largest buffer, in bytes, that is used again.
const maxKept = 64 << 10

var encoders = sync.Pool{New: func() any { return new(encoder) }} //nolint:gochecknoglobals // a pool of buffers

// Encode implements [parser.Parser].
func (Parser) Encode(p *parser.Packet) ([]parser.Message, error) {
	e := encoders.Get().(*encoder) //nolint:forcetypeassert,errcheck // nothing else is in there
	defer e.putBack()
	e.Dst, e.Attachments = e.Dst[:0], p.Attachments
	if err := e.packet(p); err != nil {
		return nil, fmt.Errorf("msgpack: %w", err)
	}
	return []parser.Message{{Binary: true, Data: bytes.Clone(e.Dst)}}, nil
}

func (e *encoder) putBack() {
	e.Attachments = nil
	if e.Memory() <= maxKept {
		encoders.Put(e)
	}
}

// packet writes the members of a packet in the order in which the JavaScript server
// has them, which differs from type to type. What is absent is left out: nil would
// be refused (ECO-MP-3).
func (e *encoder) packet(p *parser.Packet) error {
	if p.Type > parser.ConnectError {
		return errType
	}
	if !hasShape(p.Type, p.Data) {
		return errPayload
	}
	members := uint32(2)
	if p.Data != nil {
		members++
	}
	if p.HasID {
		members++
	}
	e.Dst = msgp.AppendMapHeader(e.Dst, members)
	if p.Type == parser.Ack {
		e.id(p)
	}
	e.Dst = msgp.AppendUint8(msgp.AppendString(e.Dst, "type"), byte(p.Type))
	if p.Type == parser.ConnectError {
		e.namespace(p)
		return e.data(p)
	}
	if err := e.data(p); err != nil {
		return err
	}
	if p.Type != parser.Ack {
		e.id(p)
	}
	e.namespace(p)
	return nil
}

func (e *encoder) id(p *parser.Packet) {
	if p.HasID {
		e.Dst = msgp.AppendUint64(msgp.AppendString(e.Dst, "id"), p.ID)
	}
}

func (e *encoder) namespace(p *parser.Packet) {
	e.Dst = msgp.AppendString(msgp.AppendString(e.Dst, "nsp"), p.Namespace)
}

// data writes the payload. It is checked, although it is the server's own, because
// it may come from another server of a cluster.
func (e *encoder) data(p *parser.Packet) error {
	if p.Data == nil {
		return nil
	}
	e.Dst = msgp.AppendString(e.Dst, "data")
	return e.Value(p.Data, packet.MaxDepth)
}
