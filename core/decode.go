package sio

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A decoder turns one connection's messages into packets.
type decoder struct {
	packet.Decoder

	parser parser.Decoder // nil: the built-in one
}

// newDecoder returns a decoder. If the parser cannot make one, every message is an
// error.
func (s *Server) newDecoder() decoder {
	d, p := s.opts.decoder(), s.wire.parser
	if p == nil {
		return decoder{Decoder: d}
	}
	own := parser.Decoder(noDecoder{})
	err := rescue.Apart(func() error {
		own = p.NewDecoder(parser.Limits{MaxAttachments: d.Attachments(), MaxBytes: d.MaxBytes})
		return nil
	})
	if err != nil {
		s.log().LogAttrs(context.Background(), slog.LevelError, "Parser.NewDecoder failed", errAttrs(err)...)
	}
	return decoder{parser: own}
}

// A noDecoder stands in for a decoder that could not be made.
type noDecoder struct{}

var errNoDecoder = errors.New("the parser has no decoder")

// Decode implements [parser.Decoder].
func (noDecoder) Decode(parser.Message) (*parser.Packet, error) { return nil, errNoDecoder }

// decode reports whether a packet is complete.
func (d *decoder) decode(binary bool, p []byte) (packet.Packet, bool, error) {
	switch {
	case d.parser != nil:
		return d.foreign(parser.Message{Binary: binary, Data: p})
	case binary:
		return d.Binary(p)
	default:
		return d.Text(p)
	}
}

func (d *decoder) foreign(m parser.Message) (packet.Packet, bool, error) {
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
