package sio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/packet"
	"github.com/sioplug/sioplug/core/internal/rescue"
	"github.com/sioplug/sioplug/core/parser"
)

// messageType is the Engine.IO type character of a message.
const messageType = '4'

// sizeHint is what a small packet needs; larger ones grow.
const sizeHint = 128

func buffer() []byte { return append(frame.Buffer(sizeHint), messageType) }

func slotBuffer(s *frame.Slot) []byte { return append(s.Buffer(), messageType) }

// A wire makes packets into frames, the way a server was told to.
type wire struct {
	codec  packet.Codec  // nil: the default one
	parser parser.Parser // nil: the protocol's own, which is built in
}

// A content is what an event or an ack has behind its header: a JSON array, and
// what the placeholders in it stand for.
type content struct {
	data        []byte
	attachments [][]byte
}

// event returns the frames of an event: its text, then its attachments. The slot
// is for the text.
func (w *wire) event(slot *frame.Slot, h packet.Header, name string, args []any) ([]*frame.Frame, error) {
	if packet.Reserved(name) {
		return nil, reservedEvent(name)
	}
	if w.parser != nil {
		c, err := w.eventContent(name, args)
		if err != nil {
			return nil, err
		}
		return w.frames(packet.Event, h, c)
	}
	buf, attachments, err := packet.AppendEvent(slotBuffer(slot), w.codec, h, name, args)
	if err != nil {
		return nil, fmt.Errorf("encoding %q: %w", name, err)
	}
	return slot.Text(buf, attachments), nil
}

func reservedEvent(name string) error { return fmt.Errorf("%w: %q", ErrReservedEvent, name) }

// eventContent encodes an event of which not only frames are needed.
func (w *wire) eventContent(name string, args []any) (c content, err error) {
	if packet.Reserved(name) {
		return c, reservedEvent(name)
	}
	c.data, c.attachments, err = packet.AppendEventData(make([]byte, 0, sizeHint), w.codec, name, args)
	if err != nil {
		return c, fmt.Errorf("encoding %q: %w", name, err)
	}
	return c, nil
}

// ack returns the frames of an ack.
func (w *wire) ack(h packet.Header, args []any) ([]*frame.Frame, error) {
	if w.parser == nil {
		slot := frame.Single()
		buf, attachments, err := packet.AppendAck(slotBuffer(slot), w.codec, h, args)
		if err != nil {
			return nil, err
		}
		return slot.Text(buf, attachments), nil
	}
	c, err := w.ackContent(args)
	if err != nil {
		return nil, err
	}
	return w.frames(packet.Ack, h, c)
}

func (w *wire) ackContent(args []any) (c content, err error) {
	c.data, c.attachments, err = packet.AppendAckData(nil, w.codec, args)
	return c, err
}

// frames returns the frames of an event or an ack that has been encoded before.
func (w *wire) frames(t packet.Type, h packet.Header, c content) ([]*frame.Frame, error) {
	if w.parser != nil {
		return w.parse(&parser.Packet{
			Type: parser.Type(t), Namespace: h.Namespace, ID: h.ID, HasID: h.HasID,
			Data: c.data, Attachments: c.attachments,
		})
	}
	return frames(packet.AppendWithData(buffer(), t, h, c.data, len(c.attachments)), c.attachments), nil
}

// connect returns the answer to a CONNECT that was accepted; data is JSON, or
// nil for none.
func (w *wire) connect(ns string, data []byte) ([]*frame.Frame, error) {
	if w.parser != nil {
		return w.parse(&parser.Packet{Type: parser.Connect, Namespace: ns, Data: data})
	}
	return frames(packet.AppendConnect(buffer(), ns, data), nil), nil
}

func (w *wire) disconnect(ns string) ([]*frame.Frame, error) {
	if w.parser != nil {
		return w.parse(&parser.Packet{Type: parser.Disconnect, Namespace: ns})
	}
	return frames(packet.AppendDisconnect(buffer(), ns), nil), nil
}

// connectError returns the answer to a CONNECT that was not accepted.
func (w *wire) connectError(ns string, v any) ([]*frame.Frame, error) {
	if w.parser == nil {
		buf, err := packet.AppendConnectError(buffer(), w.codec, ns, v)
		if err != nil {
			return nil, err
		}
		return frames(buf, nil), nil
	}
	data, err := packet.AppendValue(nil, w.codec, v)
	if err != nil {
		return nil, err
	}
	return w.parse(&parser.Packet{Type: parser.ConnectError, Namespace: ns, Data: data})
}

// parse has a parser of the user's encode a packet.
func (w *wire) parse(p *parser.Packet) ([]*frame.Frame, error) {
	var messages []parser.Message
	err := rescue.Call(func() (err error) {
		messages, err = w.parser.Encode(p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("encoding a packet: %w", err)
	}
	fs := make([]*frame.Frame, len(messages))
	for i, m := range messages {
		if m.Binary {
			fs[i] = frame.Binary(append(frame.Buffer(len(m.Data)), m.Data...))
		} else {
			fs[i] = frame.Text(append(append(frame.Buffer(1+len(m.Data)), messageType), m.Data...))
		}
	}
	return fs, nil
}

// frames returns those of a text packet and its attachments, which are copied.
func frames(text []byte, attachments [][]byte) []*frame.Frame {
	fs := []*frame.Frame{frame.Text(text)}
	for _, p := range attachments {
		fs = append(fs, frame.Binary(append(frame.Buffer(len(p)), p...)))
	}
	return fs
}

// A decoder turns one connection's messages into packets.
type decoder struct {
	packet.Decoder

	own parser.Decoder // nil: the built-in one
}

// newDecoder returns a decoder, which finds nothing but errors if the parser has
// none to give.
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
	return decoder{own: own}
}

// A noDecoder takes the place of a decoder that could not be made.
type noDecoder struct{}

var errNoDecoder = errors.New("the parser has no decoder")

// Decode implements [parser.Decoder].
func (noDecoder) Decode(parser.Message) (*parser.Packet, error) { return nil, errNoDecoder }

// decode reports whether a packet is complete.
func (d *decoder) decode(binary bool, p []byte) (packet.Packet, bool, error) {
	switch {
	case d.own != nil:
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
		p, err = d.own.Decode(m)
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
