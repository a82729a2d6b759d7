package cluster

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/sioplug/sioplug/adapters/internal/clusterwire"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// This file has the data of packets that only servers of this module send each other. A
// later version may add members: others ignore them.

// appendPresence appends the data of a heartbeat. The official ones have none.
func appendPresence(dst []byte, s *Presence) (_ []byte, err error) {
	if s == nil {
		return dst, nil
	}
	dst = append(dst, '{')
	if dst, err = appendText(dst, "name", s.Name); err != nil {
		return dst, err
	}
	dst = strconv.AppendUint(clusterwire.Name(dst, "version"), s.Version, 10)
	dst = appendTrue(dst, "all", s.All)
	dst = appendTrue(dst, "more", s.More)
	if s.Namespaces != nil {
		if dst, err = clusterwire.AppendStrings(clusterwire.Name(dst, "namespaces"), s.Namespaces); err != nil {
			return dst, clusterwire.In("namespaces", err)
		}
	}
	if dst, err = appendText(dst, "joined", s.Joined); err != nil {
		return dst, err
	}
	if dst, err = appendText(dst, "left", s.Left); err != nil {
		return dst, err
	}
	if dst, err = appendText(dst, "address", s.Address); err != nil {
		return dst, err
	}
	dst, err = appendText(dst, "prefix", s.Prefix)
	return append(dst, '}'), err
}

// appendTrue appends a member that is true, unless it is not.
func appendTrue(dst []byte, name string, b bool) []byte {
	if !b {
		return dst
	}
	return append(clusterwire.Name(dst, name), "true"...)
}

// maxInText is how many bytes of a Relayed are sent as base64 in a string. That takes a third
// more, but no broker has to store it apart, as PostgreSQL does with binary values.
const maxInText = 4 << 10

// placeholder stands for the only attachment of a packet.
const placeholder = `{"_placeholder":true,"num":0}`

// appendBytes appends the member with the bytes of a Relayed.
func appendBytes(dst, b []byte) []byte {
	dst = clusterwire.Name(dst, "bytes")
	if len(b) > maxInText {
		return append(dst, placeholder...)
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), b), '"')
}

// readBytes reads that member. Without an error, it does not return nil.
func readBytes(value []byte, attachments [][]byte) ([]byte, error) {
	if len(value) > 0 && value[0] == '{' {
		if _, found := clusterwire.Attached(value, attachments); len(found) == 1 && string(value) == placeholder {
			return found[0], nil
		}
		return nil, errBytes
	}
	text, err := clusterwire.String(value)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errBytes
	}
	return b, nil
}

// appendOwn appends the members of an Answer, a Cancel, a Resync or a Relayed.
func appendOwn(dst []byte, p *Packet) (_ []byte, err error) {
	if dst, err = appendText(dst, "to", p.To); err != nil {
		return dst, err
	}
	if dst, err = appendRequestID(dst, p); err != nil {
		return dst, err
	}
	if p.Type == Relayed {
		dst = appendBytes(dst, p.Bytes)
	}
	if p.Type == Answer {
		if p.Part > 0 {
			dst = strconv.AppendInt(clusterwire.Name(dst, "part"), int64(p.Part), 10)
		}
		if dst = appendTrue(dst, "done", p.Done); p.Reply != nil {
			dst, err = appendReply(dst, p.Reply)
		}
	}
	return append(dst, '}'), err
}

// appendReply appends the members of a reply in full.
func appendReply(dst []byte, r *adapter.Reply) (_ []byte, err error) {
	if r.Expected != nil {
		if dst, err = clusterwire.AppendStrings(clusterwire.Name(dst, "expected"), r.Expected); err != nil {
			return dst, clusterwire.In("expected", err)
		}
	}
	if r.Ack != nil {
		if dst, err = appendAck(append(clusterwire.Name(dst, "ack"), '{'), r.Ack); err != nil {
			return dst, clusterwire.In("ack", err)
		}
	}
	if r.Sockets != nil {
		if dst, err = clusterwire.AppendSockets(clusterwire.Name(dst, "sockets"), r.Sockets); err != nil {
			return dst, err
		}
	}
	if r.Clients != 0 {
		dst = strconv.AppendInt(clusterwire.Name(dst, "clients"), int64(r.Clients), 10)
	}
	return dst, nil
}

func appendAck(dst []byte, a *adapter.Ack) (_ []byte, err error) {
	if dst, err = appendText(dst, "socket", a.Socket); err != nil {
		return dst, err
	}
	if len(a.Data) > 0 {
		if err := checkValues(a.Data, a.Attachments); err != nil {
			return dst, err
		}
		dst = append(clusterwire.Name(dst, "data"), a.Data...)
	}
	dst = appendTrue(dst, "gone", a.Gone)
	dst = appendTrue(dst, "dropped", a.Dropped)
	dst = appendTrue(dst, "blocked", a.Blocked)
	dst, err = appendText(dst, "error", a.Error)
	return append(dst, '}'), err
}

// checkValues returns an error if data is not the list of an ack's values.
func checkValues(data []byte, attachments [][]byte) error {
	if _, ok := rawjson.ScanList(data, packet.MaxDepth); !ok || !utf8.Valid(data) {
		return packet.ErrInvalidPayload
	}
	return packet.CheckData(data, len(attachments))
}

// readPresence reads the data of a heartbeat, nil if there is none.
func readPresence(data []byte) (s *Presence, err error) {
	if data == nil {
		return nil, nil //nolint:nilnil // as the official adapters send it
	}
	s = new(Presence)
	err = clusterwire.Members(data, func(name, value []byte) (err error) {
		if value = clusterwire.Present(value); value == nil {
			return nil
		}
		switch string(name) {
		case "name":
			s.Name, err = clusterwire.String(value)
		case "version":
			s.Version, err = strconv.ParseUint(string(value), 10, 64)
		case "all":
			s.All = clusterwire.Bool(value)
		case "more":
			s.More = clusterwire.Bool(value)
		case "namespaces":
			s.Namespaces, err = clusterwire.Strings(value)
		case "joined":
			s.Joined, err = clusterwire.String(value)
		case "left":
			s.Left, err = clusterwire.String(value)
		case "address":
			s.Address, err = clusterwire.String(value)
		case "prefix":
			s.Prefix, err = clusterwire.String(value)
		}
		return clusterwire.In(name, err)
	})
	return s, err
}

// readReply reads the reply of an Answer. It is never nil without an error.
func readReply(d *data, attachments [][]byte) (r *adapter.Reply, err error) {
	r = new(adapter.Reply)
	if d.expected != nil {
		if r.Expected, err = clusterwire.Strings(d.expected); err != nil {
			return nil, clusterwire.In("expected", err)
		}
		if r.Expected == nil {
			r.Expected = []string{}
		}
	}
	if d.ack != nil {
		if r.Ack, err = readAck(d.ack, attachments); err != nil {
			return nil, clusterwire.In("ack", err)
		}
	}
	if d.sockets != nil {
		if r.Sockets, err = clusterwire.ReadSockets(d.sockets, attachments); err != nil {
			return nil, err
		}
	}
	r.Clients, err = clusterwire.Int(d.clients, maxClients)
	return r, clusterwire.In("clients", err)
}

func readAck(object []byte, attachments [][]byte) (*adapter.Ack, error) {
	a := new(adapter.Ack)
	err := clusterwire.Members(object, func(name, value []byte) (err error) {
		if value = clusterwire.Present(value); value == nil {
			return nil
		}
		switch string(name) {
		case "socket":
			a.Socket, err = clusterwire.String(value)
		case "data":
			a.Data, a.Attachments = clusterwire.Attached(value, attachments)
			err = checkValues(a.Data, a.Attachments)
		case "gone":
			a.Gone = clusterwire.Bool(value)
		case "dropped":
			a.Dropped = clusterwire.Bool(value)
		case "blocked":
			a.Blocked = clusterwire.Bool(value)
		case "error":
			a.Error, err = clusterwire.String(value)
		}
		return clusterwire.In(name, err)
	})
	return a, err
}
