package sio

import (
	"fmt"

	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/packet"
)

// messageType is the Engine.IO type character of a message.
const messageType = '4'

// sizeHint is what a small packet needs; larger ones grow.
const sizeHint = 128

func buffer() []byte { return append(frame.Buffer(sizeHint), messageType) }

// encodeEvent returns the frames of an event: its text, then its attachments.
func encodeEvent(ns, event string, args []any) ([]*frame.Frame, error) {
	return encodeEventWithID(packet.Header{Namespace: ns}, event, args)
}

func encodeEventWithID(h packet.Header, event string, args []any) ([]*frame.Frame, error) {
	if packet.Reserved(event) {
		return nil, fmt.Errorf("%w: %q", ErrReservedEvent, event)
	}
	buf, attachments, err := packet.AppendEvent(buffer(), nil, h, event, args)
	if err != nil {
		return nil, fmt.Errorf("encoding %q: %w", event, err)
	}
	return frames(buf, attachments), nil
}

func encodeAck(ns string, id uint64, args []any) ([]*frame.Frame, error) {
	buf, attachments, err := packet.AppendAck(buffer(), nil, packet.Header{Namespace: ns, ID: id, HasID: true}, args)
	if err != nil {
		return nil, err
	}
	return frames(buf, attachments), nil
}

func frames(text []byte, attachments [][]byte) []*frame.Frame {
	fs := make([]*frame.Frame, 1, 1+len(attachments))
	fs[0] = frame.Text(text)
	for _, p := range attachments {
		fs = append(fs, frame.Binary(append(frame.Buffer(len(p)), p...)))
	}
	return fs
}

func encodeConnect(ns, sid string) []*frame.Frame {
	data := append(append([]byte(`{"sid":"`), sid...), `"}`...) // an id needs no escapes
	return frames(packet.AppendConnect(buffer(), ns, data), nil)
}

func encodeDisconnect(ns string) []*frame.Frame {
	return frames(packet.AppendDisconnect(buffer(), ns), nil)
}

func encodeConnectError(ns string, w any) ([]*frame.Frame, error) {
	buf, err := packet.AppendConnectError(buffer(), nil, ns, w)
	if err != nil {
		return nil, err
	}
	return frames(buf, nil), nil
}
