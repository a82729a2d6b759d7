package siotest_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/packet"
)

// TestStandardParser shows that the protocol's own encoding passes the suite.
func TestStandardParser(t *testing.T) { siotest.TestParser(t, standard{mistake()}) }

func TestMistakesOfParsersAreFound(t *testing.T) {
	t.Parallel()
	mustBeFound(t, map[string]string{
		"no ids":                "TestStandardParser/packets",
		"lookalikes":            "TestStandardParser/objects_that_look_like_placeholders",
		"messages share memory": "TestStandardParser/memory",
		"packets share memory":  "TestStandardParser/memory",
		"one packet for all":    "TestStandardParser/memory",
		"limitless":             "TestStandardParser/attachments",
		"boundless":             "TestStandardParser/bytes",
		"panics":                "TestStandardParser/broken_messages",
	})
}

// standard is the protocol's own encoding as a parser, with a mistake if that is
// wanted.
type standard struct{ mistake string }

func (s standard) Encode(p *parser.Packet) ([]parser.Message, error) {
	h := packet.Header{Namespace: p.Namespace, ID: p.ID, HasID: p.HasID && s.mistake != "no ids"}
	if s.mistake != "lookalikes" {
		if err := packet.CheckWire(p.Data, len(p.Attachments)); err != nil {
			return nil, err
		}
	}
	var text []byte
	switch p.Type {
	case parser.Connect, parser.ConnectError:
		text = packet.AppendConnect(nil, p.Namespace, p.Data)
		text[0] = '0' + byte(p.Type)
	case parser.Disconnect:
		text = packet.AppendDisconnect(nil, p.Namespace)
	case parser.Event, parser.Ack:
		text = packet.AppendWithData(nil, packet.Type(p.Type), h, p.Data, len(p.Attachments))
	}
	messages := []parser.Message{{Data: text}}
	for _, a := range p.Attachments {
		if s.mistake != "messages share memory" {
			a = bytes.Clone(a)
		}
		messages = append(messages, parser.Message{Binary: true, Data: a})
	}
	return messages, nil
}

func (s standard) NewDecoder(l parser.Limits) parser.Decoder {
	if s.mistake == "limitless" {
		l.MaxAttachments = 1000
	}
	if s.mistake == "boundless" {
		l.MaxBytes = 0
	}
	return &standardDecoder{Decoder: packet.Decoder{MaxAttachments: l.MaxAttachments, MaxBytes: l.MaxBytes}, mistake: s.mistake}
}

type standardDecoder struct {
	packet.Decoder

	mistake string
	shared  parser.Packet
	kept    [][]byte
}

func (d *standardDecoder) Decode(m parser.Message) (*parser.Packet, error) {
	if d.mistake == "panics" && len(m.Data) == 0 {
		panic(errors.New("nothing there"))
	}
	decode := d.Text
	if m.Binary {
		decode = d.Binary
		d.kept = append(d.kept, m.Data)
	}
	k, complete, err := decode(m.Data)
	if err != nil || !complete {
		return nil, err
	}
	p := new(parser.Packet)
	if d.mistake == "one packet for all" {
		p = &d.shared
	}
	*p = parser.Packet{Type: parser.Type(k.Type), Namespace: k.Namespace, ID: k.ID, HasID: k.HasID, Data: k.Data, Attachments: k.Args.Attachments()}
	if d.mistake == "packets share memory" && len(p.Attachments) > 0 {
		p.Attachments = d.kept
	}
	d.kept = nil
	switch k.Type {
	case packet.Ack:
		p.Data = k.Args.AppendData(nil)
	case packet.Event:
		p.Data, _, err = packet.AppendEventData(nil, nil, string(k.Name), nil)
		if args := k.Args.AppendData(nil); k.Args.Len() > 0 {
			p.Data = append(append(p.Data[:len(p.Data)-1], ','), args[1:]...)
		}
	case packet.Connect, packet.ConnectError, packet.Disconnect:
	}
	return p, err
}
