package sioclient

import (
	"errors"
	"fmt"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/internal/encoding"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
)

// messageType is the Engine.IO type character of a message.
const messageType = '4'

// sizeHint is the size of a small packet in bytes; larger ones grow.
const sizeHint = 128

// A wire encodes packets with the options of a Manager.
type wire struct {
	codec   sio.Codec     // nil: the default one
	parser  parser.Parser // nil: the protocol's own, which is built in
	limits  packet.Decoder
	maxSend int // binary values in a packet; 0: any number
}

// maxSendAttachments is how many binary values servers accept in one packet, unless they
// are told otherwise.
const maxSendAttachments = packet.DefaultMaxAttachments

func newWire(o *Options) wire {
	w := wire{codec: o.JSON, parser: o.Parser}
	w.limits = packet.Decoder{MaxAttachments: o.MaxAttachments, MaxBytes: o.MaxMessageSize}
	if o.Parser == nil {
		w.maxSend = maxSendAttachments
	}
	return w
}

// content is an event or an ack behind its header: a JSON array and its attachments.
type content struct {
	data        []byte
	attachments [][]byte
}

func (w *wire) checkNumber(n int) error {
	if w.maxSend == 0 || n <= w.maxSend {
		return nil
	}
	return fmt.Errorf("%w: %d of them, and servers accept %d: join them to one, or send several events", ErrTooManyAttachments, n, w.maxSend)
}

func encodingError(event string, err error) error {
	if errors.Is(err, packet.ErrLooksBinary) {
		err = sio.ErrPlaceholder
	}
	return fmt.Errorf("sioclient: encoding %q: %w", event, err)
}

// event returns the frames of an event.
func (w *wire) event(h packet.Header, name string, args []any) ([]*frame.Frame, error) {
	if packet.Reserved(name) {
		return nil, fmt.Errorf("%w: %q", ErrReservedEvent, name)
	}
	if w.parser != nil {
		c, err := w.content(name, args)
		if err != nil {
			return nil, err
		}
		return w.frames(frame.Single(), packet.Event, h, c)
	}
	slot := frame.Single()
	buf, attachments, err := packet.AppendEvent(append(slot.Buffer(), messageType), w.codec, h, name, args)
	if err == nil {
		err = w.checkNumber(len(attachments))
	}
	if err != nil {
		return nil, encodingError(name, err)
	}
	return slot.Text(buf, attachments), nil
}

// content encodes an event without its header.
func (w *wire) content(name string, args []any) (c content, err error) {
	if packet.Reserved(name) {
		return c, fmt.Errorf("%w: %q", ErrReservedEvent, name)
	}
	c.data, c.attachments, err = packet.AppendEventData(make([]byte, 0, sizeHint), w.codec, name, args)
	if err == nil {
		err = w.checkNumber(len(c.attachments))
	}
	if err != nil {
		return content{}, encodingError(name, err)
	}
	return c, nil
}

// ack returns the frames of an ack.
func (w *wire) ack(h packet.Header, event string, args []any) ([]*frame.Frame, error) {
	var c content
	var err error
	c.data, c.attachments, err = packet.AppendAckData(make([]byte, 0, sizeHint), w.codec, args)
	if err == nil {
		err = w.checkNumber(len(c.attachments))
	}
	if err != nil {
		return nil, encodingError("the ack of "+event, err)
	}
	return w.frames(frame.Single(), packet.Ack, h, c)
}

// frames returns the frames of an encoded event or ack, its text in the memory of slot.
func (w *wire) frames(slot *frame.Slot, t packet.Type, h packet.Header, c content) ([]*frame.Frame, error) {
	if w.parser != nil {
		return w.encodeWithParser(&parser.Packet{
			Type: parser.Type(t), Namespace: h.Namespace, ID: h.ID, HasID: h.HasID,
			Data: c.data, Attachments: c.attachments,
		})
	}
	if len(c.attachments) > 0 {
		if err := packet.CheckWire(c.data, len(c.attachments)); err != nil {
			return nil, sio.ErrPlaceholder
		}
	}
	buf := packet.AppendWithData(append(slot.Buffer(), messageType), t, h, c.data, len(c.attachments))
	return slot.Text(buf, c.attachments), nil
}

// connect returns the packet that asks for a namespace. data is a JSON object, or nil.
func (w *wire) connect(namespace string, data []byte) ([]*frame.Frame, error) {
	if w.parser != nil {
		return w.encodeWithParser(&parser.Packet{Type: parser.Connect, Namespace: namespace, Data: data})
	}
	return []*frame.Frame{frame.Text(packet.AppendConnect(buffer(), namespace, data))}, nil
}

// disconnect returns the packet that leaves a namespace.
func (w *wire) disconnect(namespace string) ([]*frame.Frame, error) {
	if w.parser != nil {
		return w.encodeWithParser(&parser.Packet{Type: parser.Disconnect, Namespace: namespace})
	}
	return []*frame.Frame{frame.Text(packet.AppendDisconnect(buffer(), namespace))}, nil
}

func buffer() []byte { return append(frame.Buffer(sizeHint), messageType) }

// encodeWithParser encodes a packet by the application's parser.
func (w *wire) encodeWithParser(p *parser.Packet) ([]*frame.Frame, error) {
	fs, err := encoding.Encode(w.parser, p)
	if err != nil {
		return nil, fmt.Errorf("sioclient: encoding a packet: %w", err)
	}
	return fs, nil
}
