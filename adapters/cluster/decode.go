package cluster

import (
	"errors"
	"fmt"
	"math"

	"github.com/sioplug/sioplug/adapters/internal/clusterwire"
	"github.com/sioplug/sioplug/core/adapter"
)

// maxClients is how many clients a server may say that it has. More would be a mistake
// that costs memory.
const maxClients = 1 << 20

// Why something is no packet.
var (
	errType    = errors.New("invalid type")
	errData    = errors.New("no data")
	errNoRooms = errors.New("no rooms")
	errNoID    = errors.New("no requestId")
	errBytes   = errors.New("no bytes")
)

// Decode returns the packet of a message: JSON, if its first byte is a brace, or
// MessagePack. It takes what the official adapters and emitters send, in any order, with
// other members or without those that can be missing. Rooms that are numbers become
// strings. If the message has no namespace or sender, that of the packet is "". A type
// that is unknown makes a packet of that type, without content.
//
// The packet shares the memory of data, which must not change any more.
func Decode(data []byte) (*Packet, error) {
	message, attachments, err := clusterwire.Read(data)
	if err != nil {
		return nil, fmt.Errorf("cluster: decoding a message: %w", err)
	}
	var typ, content []byte
	p := new(Packet)
	err = clusterwire.Members(message, func(name, value []byte) (err error) {
		switch value = clusterwire.Present(value); string(name) {
		case "type":
			typ = value
		case "data":
			content = value
		case "uid":
			p.From, err = clusterwire.String(value)
		case "nsp":
			p.Namespace, err = clusterwire.String(value)
		}
		return clusterwire.In(name, err)
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: decoding a message: %w", err)
	}
	t, err := clusterwire.Int(typ, 255)
	if err != nil || t == 0 {
		return nil, fmt.Errorf("cluster: decoding a message: %w", errType)
	}
	p.Type = Type(t) //nolint:gosec // at most 255
	return p.complete(content, attachments)
}

// DecodeData is [Decode] for the member data alone. It is empty if packets of that type
// have none.
func DecodeData(t Type, from, namespace string, data []byte) (*Packet, error) {
	p := &Packet{Type: t, From: from, Namespace: namespace}
	if len(data) == 0 {
		return p.complete(nil, nil)
	}
	content, attachments, err := clusterwire.Read(data)
	if err != nil {
		return nil, fmt.Errorf("cluster: decoding the data of type %d: %w", t, err)
	}
	return p.complete(content, attachments)
}

// complete fills in what is in the member data.
func (p *Packet) complete(content []byte, attachments [][]byte) (*Packet, error) {
	if err := p.read(content, attachments); err != nil {
		return nil, fmt.Errorf("cluster: decoding the data of type %d: %w", p.Type, err)
	}
	return p, nil
}

// A data has the members of the member data, as JSON. Those that are absent are nil.
type data struct {
	packet, opts, rooms, pin, close, sockets, clientCount []byte
	to, part, done, expected, ack, clients, bytes         []byte
}

func (p *Packet) readMembers(content []byte) (d data, err error) {
	err = clusterwire.Members(content, func(name, value []byte) (err error) {
		if string(name) == "packet" {
			d.packet = value // which may be null
			return nil
		}
		switch value = clusterwire.Present(value); string(name) {
		case "requestId":
			p.RequestID, err = clusterwire.String(value)
		case "opts":
			d.opts = value
		case "rooms":
			d.rooms = value
		case "pin":
			d.pin = value
		case "close":
			d.close = value
		case "sockets":
			d.sockets = value
		case "clientCount":
			d.clientCount = value
		case "to":
			d.to = value
		case "part":
			d.part = value
		case "done":
			d.done = value
		case "expected":
			d.expected = value
		case "ack":
			d.ack = value
		case "clients":
			d.clients = value
		case "bytes":
			d.bytes = value
		}
		return clusterwire.In(name, err)
	})
	return d, err
}

// read reads the member data.
func (p *Packet) read(content []byte, attachments [][]byte) (err error) {
	switch p.Type {
	case InitialHeartbeat, Heartbeat:
		p.Presence, err = readPresence(content)
		return err
	case AdapterClose:
		return nil
	case Broadcast, SocketsJoin, SocketsLeave, DisconnectSockets, FetchSockets, ServerSideEmit,
		FetchSocketsResponse, ServerSideEmitResponse, BroadcastClientCount, BroadcastAck, Answer, Cancel, Resync, Relayed:
	default:
		return nil // of a later version
	}
	if content == nil {
		return errData
	}
	d, err := p.readMembers(content)
	if err != nil {
		return err
	}
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case SocketsJoin, SocketsLeave, DisconnectSockets, Resync, Relayed:
		p.RequestID = "" // nobody answers them
	case Broadcast, ServerSideEmit: // may want answers
	default:
		if p.RequestID == "" {
			return errNoID
		}
	}
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case FetchSocketsResponse, ServerSideEmitResponse, BroadcastClientCount, BroadcastAck:
		return p.readResponse(&d, attachments)
	case Answer, Cancel, Resync, Relayed:
		return p.readOwn(&d, attachments)
	default:
		return p.readMessage(&d, attachments)
	}
}

// readMessage reads a message or a request.
func (p *Packet) readMessage(d *data, attachments [][]byte) (err error) {
	m := new(adapter.Message)
	p.Message = m
	var o clusterwire.Options
	if p.Type != ServerSideEmit {
		if o, err = clusterwire.ReadOptions(d.opts); err != nil {
			return err
		}
		m.Target, p.Timeout = o.Target, o.Timeout
	}
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case Broadcast:
		m.Kind, m.Volatile, m.NoCompress, m.DropOldest, m.Latest = adapter.Broadcast, o.Volatile, o.NoCompress, o.DropOldest, o.Latest
		var namespace string
		m.Data, m.Attachments, namespace, err = clusterwire.ReadPacket(d.packet, attachments)
		if p.Namespace == "" {
			p.Namespace = namespace
		}
		return clusterwire.In("packet", err)
	case ServerSideEmit:
		m.Kind = adapter.ServerEvent
		m.Data, m.Attachments, err = clusterwire.Event(d.packet, attachments)
		return clusterwire.In("packet", err)
	case SocketsJoin, SocketsLeave:
		m.Kind = adapter.Join
		if p.Type == SocketsLeave {
			m.Kind = adapter.Leave
		}
		if d.rooms == nil {
			return errNoRooms
		}
		m.Pin = clusterwire.Bool(d.pin)
		m.Rooms, err = clusterwire.Strings(d.rooms)
		return clusterwire.In("rooms", err)
	case DisconnectSockets:
		m.Kind, m.Close = adapter.Disconnect, clusterwire.Bool(d.close)
	default:
		m.Kind = adapter.Fetch
	}
	return nil
}

// readResponse reads a response of the official adapters.
func (p *Packet) readResponse(d *data, attachments [][]byte) (err error) {
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case BroadcastClientCount:
		p.Clients, err = clusterwire.Int(d.clientCount, maxClients)
		return clusterwire.In("clientCount", err)
	case FetchSocketsResponse:
		p.Reply = new(adapter.Reply)
		p.Reply.Sockets, err = clusterwire.ReadSockets(d.sockets, attachments)
		return err
	default:
		a := new(adapter.Ack)
		p.Reply = &adapter.Reply{Ack: a}
		a.Data, a.Attachments, err = clusterwire.List(d.packet, attachments)
		return clusterwire.In("packet", err)
	}
}

// readOwn reads an Answer, a Cancel, a Resync or a Relayed.
func (p *Packet) readOwn(d *data, attachments [][]byte) (err error) {
	if p.To, err = clusterwire.String(d.to); err != nil {
		return clusterwire.In("to", err)
	}
	if p.Type == Relayed {
		p.Bytes, err = readBytes(d.bytes, attachments)
		return clusterwire.In("bytes", err)
	}
	if p.Type == Answer {
		if p.Part, err = clusterwire.Int(d.part, math.MaxInt32); err != nil {
			return clusterwire.In("part", err)
		}
		p.Done = clusterwire.Bool(d.done)
		p.Reply, err = readReply(d, attachments)
	}
	return err
}
