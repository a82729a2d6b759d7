package sio

import (
	"errors"
	"fmt"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/encoding"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
)

// messageType is the Engine.IO type character of a message.
const messageType = '4'

// sizeHint is the size of a small packet in bytes; larger ones grow.
const sizeHint = 128

func buffer() []byte { return append(frame.Buffer(sizeHint), messageType) }

func slotBuffer(s *frame.Slot) []byte { return append(s.Buffer(), messageType) }

// A wire encodes packets with the server's options.
type wire struct {
	codec  packet.Codec  // nil: the default one
	parser parser.Parser // nil: the protocol's own, which is built in

	maxAttachments int                       // binary values in a packet to clients; 0: any number
	tooMany        func(event string, n int) // is told of an event that has more
}

// An encoded is an event or an ack behind its header: a JSON array and its attachments.
type encoded struct {
	data        []byte
	attachments [][]byte
}

// event returns the frames of an event: its text, in the memory of slot, and its
// attachments.
func (w *wire) event(slot *frame.Slot, h packet.Header, name string, args []any) ([]*frame.Frame, error) {
	if packet.Reserved(name) {
		return nil, reservedEvent(name)
	}
	if w.parser != nil {
		c, err := w.encodeEventForClients(name, args)
		if err != nil {
			return nil, err
		}
		return w.frames(packet.Event, h, c)
	}
	buf, attachments, err := packet.AppendEvent(slotBuffer(slot), w.codec, h, name, args)
	if err == nil {
		err = w.checkNumber(name, len(attachments))
	}
	if err != nil {
		return nil, encodingError(name, err)
	}
	return slot.Text(buf, attachments), nil
}

func encodingError(event string, err error) error {
	if errors.Is(err, packet.ErrLooksBinary) {
		err = ErrPlaceholder
	}
	return fmt.Errorf("encoding %q: %w", event, err)
}

// checkNumber returns an error if a packet has more attachments than clients accept. It
// is called before anything is copied.
func (w *wire) checkNumber(event string, n int) error {
	if w.maxAttachments == 0 || n <= w.maxAttachments {
		return nil
	}
	if w.tooMany != nil && event != "" {
		w.tooMany(event, n)
	}
	return fmt.Errorf("%w: %d of them, and clients accept %d: "+
		"join them to one, send several events, or see Options.MaxSendAttachments", ErrTooManyAttachments, n, w.maxAttachments)
}

// checkContent returns an error if clients would not accept the attachments. Content
// without attachments is not checked.
func (w *wire) checkContent(event string, c encoded) error {
	if len(c.attachments) == 0 {
		return nil
	}
	if err := w.checkNumber(event, len(c.attachments)); err != nil {
		return err
	}
	if w.parser != nil {
		return packet.CheckData(c.data, len(c.attachments))
	}
	if err := packet.CheckWire(c.data, len(c.attachments)); err != nil {
		return ErrPlaceholder
	}
	return nil
}

func reservedEvent(name string) error { return fmt.Errorf("%w: %q", ErrReservedEvent, name) }

// checkForeign is checkContent for content from another server or a log.
func (w *wire) checkForeign(c encoded) error {
	if len(c.attachments) > 0 && !packet.ValidList(c.data) {
		return packet.ErrInvalidPayload
	}
	return w.checkContent("", c)
}

// encodeEventForClients encodes an event that is sent to clients.
func (w *wire) encodeEventForClients(name string, args []any) (c encoded, err error) {
	if packet.Reserved(name) {
		return c, reservedEvent(name)
	}
	c, err = w.encodeEvent(name, args)
	if err == nil {
		err = w.checkContent(name, c)
	}
	if err != nil {
		return encoded{}, encodingError(name, err)
	}
	return c, nil
}

// encodeEvent encodes an event that is not sent to clients.
func (w *wire) encodeEvent(name string, args []any) (c encoded, err error) {
	c.data, c.attachments, err = packet.AppendEventData(make([]byte, 0, sizeHint), w.codec, name, args)
	return c, err
}

// ack returns the frames of an ack to an event.
func (w *wire) ack(h packet.Header, event string, args []any) ([]*frame.Frame, error) {
	if w.parser == nil {
		slot := frame.Single()
		buf, attachments, err := packet.AppendAck(slotBuffer(slot), w.codec, h, args)
		if err == nil {
			err = w.checkNumber(event, len(attachments))
		}
		if err != nil {
			return nil, encodingError("the ack of "+event, err)
		}
		return slot.Text(buf, attachments), nil
	}
	c, err := w.encodeAck(args)
	if err != nil {
		return nil, encodingError("the ack of "+event, err)
	}
	return w.frames(packet.Ack, h, c)
}

func (w *wire) encodeAck(args []any) (c encoded, err error) {
	c.data, c.attachments, err = packet.AppendAckData(nil, w.codec, args)
	return c, err
}

// frames returns the frames of an encoded event or ack, from this server or another one.
func (w *wire) frames(t packet.Type, h packet.Header, c encoded) ([]*frame.Frame, error) {
	if err := w.checkForeign(c); err != nil {
		return nil, err
	}
	if w.parser != nil {
		return w.encodeWithParser(&parser.Packet{
			Type: parser.Type(t), Namespace: h.Namespace, ID: h.ID, HasID: h.HasID,
			Data: c.data, Attachments: c.attachments,
		})
	}
	return textFrames(packet.AppendWithData(buffer(), t, h, c.data, len(c.attachments)), c.attachments), nil
}

// connect returns the answer to an accepted CONNECT. data is JSON, or nil.
func (w *wire) connect(ns string, data []byte) ([]*frame.Frame, error) {
	if w.parser != nil {
		return w.encodeWithParser(&parser.Packet{Type: parser.Connect, Namespace: ns, Data: data})
	}
	return textFrames(packet.AppendConnect(buffer(), ns, data), nil), nil
}

func (w *wire) disconnect(ns string) ([]*frame.Frame, error) {
	if w.parser != nil {
		return w.encodeWithParser(&parser.Packet{Type: parser.Disconnect, Namespace: ns})
	}
	return textFrames(packet.AppendDisconnect(buffer(), ns), nil), nil
}

// connectError returns the answer to a refused CONNECT.
func (w *wire) connectError(ns string, v any) ([]*frame.Frame, error) {
	if w.parser == nil {
		buf, err := packet.AppendConnectError(buffer(), w.codec, ns, v)
		if err != nil {
			return nil, err
		}
		return textFrames(buf, nil), nil
	}
	data, err := packet.AppendValue(nil, w.codec, v)
	if err != nil {
		return nil, err
	}
	return w.encodeWithParser(&parser.Packet{Type: parser.ConnectError, Namespace: ns, Data: data})
}

// encodeWithParser encodes a packet by the application's parser.
func (w *wire) encodeWithParser(p *parser.Packet) ([]*frame.Frame, error) {
	fs, err := encoding.Encode(w.parser, p)
	if err != nil {
		return nil, fmt.Errorf("encoding a packet: %w", err)
	}
	return fs, nil
}

// textFrames returns the frames of a text packet and of its attachments, which are
// copied.
func textFrames(text []byte, attachments [][]byte) []*frame.Frame {
	fs := []*frame.Frame{frame.Text(text)}
	for _, p := range attachments {
		fs = append(fs, frame.Binary(append(frame.Buffer(len(p)), p...)))
	}
	return fs
}
