// Package encoding encodes and decodes packets as server and client both do it: in the
// protocol's own encoding, or by a parser of the application's.
package encoding

import (
	"errors"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// Encode returns the frames of a packet as the parser encodes it.
func Encode(p parser.Parser, k *parser.Packet) ([]*frame.Frame, error) {
	var messages []parser.Message
	err := rescue.Call(func() (err error) {
		messages, err = p.Encode(k)
		return err
	})
	if err != nil {
		return nil, err
	}
	fs := make([]*frame.Frame, len(messages))
	for i, m := range messages {
		if m.Binary {
			fs[i] = frame.Binary(append(frame.Buffer(len(m.Data)), m.Data...))
		} else {
			fs[i] = frame.Text(append(append(frame.Buffer(1+len(m.Data)), byte(payload.Message)), m.Data...))
		}
	}
	return fs, nil
}

// A Decoder turns one connection's messages into packets.
type Decoder struct {
	packet.Decoder

	parser parser.Decoder // nil: the built-in one
}

// NewDecoder returns a decoder. p is nil for the protocol's own encoding. With an error the
// parser has made none, and the decoder that is returned refuses every message.
func NewDecoder(limits packet.Decoder, p parser.Parser) (Decoder, error) {
	if p == nil {
		return Decoder{Decoder: limits}, nil
	}
	d := Decoder{parser: noDecoder{}}
	err := rescue.Apart(func() error {
		d.parser = p.NewDecoder(parser.Limits{MaxAttachments: limits.Attachments(), MaxBytes: limits.MaxBytes})
		return nil
	})
	return d, err
}

// A noDecoder stands in for a decoder that could not be made.
type noDecoder struct{}

var errNoDecoder = errors.New("the parser has no decoder")

// Decode implements [parser.Decoder].
func (noDecoder) Decode(parser.Message) (*parser.Packet, error) { return nil, errNoDecoder }

// Decode returns a packet, and whether it is complete: otherwise more messages belong to it.
func (d *Decoder) Decode(binary bool, p []byte) (packet.Packet, bool, error) {
	switch {
	case d.parser != nil:
		return d.byParser(parser.Message{Binary: binary, Data: p})
	case binary:
		return d.Binary(p)
	default:
		return d.Text(p)
	}
}

func (d *Decoder) byParser(m parser.Message) (packet.Packet, bool, error) {
	var p *parser.Packet
	err := rescue.Call(func() (err error) {
		p, err = d.parser.Decode(m)
		return err
	})
	if err != nil || p == nil {
		return packet.Packet{}, false, err
	}
	k, err := packet.Build(packet.Packet{
		Type: packet.Type(p.Type), Namespace: p.Namespace, ID: p.ID, HasID: p.HasID,
	}, p.Data, p.Attachments)
	return k, err == nil, err
}
