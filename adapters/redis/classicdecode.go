package redisadapter

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/clusterwire"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// A classicMembers has the members of a request or a response, as JSON.
type classicMembers struct {
	typ, opts, rooms, close, data, packet, sid, room, sockets, clientCount []byte

	uid, requestID string
}

// decodeClassic returns the packet of a message from the channels for broadcasts and
// requests. Requests do not say which namespace they are for: the channel does. It returns
// nil, and no error, if there is nothing to do. The packet shares the memory of data.
//
// Heartbeats and the like have a channel of their own: they need [cluster.Decode].
func decodeClassic(data []byte) (*cluster.Packet, error) {
	if isOwn(data) {
		return cluster.Decode(data)
	}
	message, attachments, err := clusterwire.Read(data)
	if err != nil {
		return nil, fmt.Errorf("redisadapter: decoding a message: %w", err)
	}
	if message[0] == '[' {
		p, err := classicEvent(message, attachments)
		if err != nil {
			return nil, fmt.Errorf("redisadapter: decoding a broadcast: %w", err)
		}
		return p, nil
	}
	m, n, err := readClassic(message)
	if err != nil {
		return nil, fmt.Errorf("redisadapter: decoding a request: %w", err)
	}
	p, err := m.request(n, attachments)
	if err != nil {
		return nil, fmt.Errorf("redisadapter: decoding a request of type %d: %w", n, err)
	}
	return p, nil
}

// decodeClassicResponse is [decodeClassic] for the channels for responses.
func decodeClassicResponse(data []byte) (*cluster.Packet, error) {
	if isOwn(data) {
		return cluster.Decode(data)
	}
	message, attachments, err := clusterwire.Read(data)
	if err != nil {
		return nil, fmt.Errorf("redisadapter: decoding a response: %w", err)
	}
	m, n, err := readClassic(message)
	if err != nil {
		return nil, fmt.Errorf("redisadapter: decoding a response: %w", err)
	}
	p, err := m.response(n, attachments)
	if err != nil {
		return nil, fmt.Errorf("redisadapter: decoding a response: %w", err)
	}
	return p, nil
}

// isOwn reports whether a message has the form of package cluster. That begins with a type
// that official servers do not have.
func isOwn(data []byte) bool {
	const start = "\xa4type" // behind the number of members
	return len(data) > 1+len(start) && string(data[1:1+len(start)]) == start &&
		data[0]&0xf0 == 0x80 && data[1+len(start)] >= byte(cluster.Answer) && data[1+len(start)] < 0x80
}

// classicEvent reads a broadcast: an array of sender, packet and options.
func classicEvent(message []byte, attachments [][]byte) (*cluster.Packet, error) {
	var parts [3][]byte
	c := rawjson.Cursor{P: message}
	for i := 0; c.More(); i++ {
		value := c.Value()
		if i < len(parts) {
			parts[i] = clusterwire.Present(value)
		}
	}
	from, err := clusterwire.String(parts[0])
	if err != nil {
		return nil, clusterwire.In("uid", err)
	}
	p := &cluster.Packet{Type: cluster.Broadcast, From: from}
	if err := readClassicBroadcast(p, parts[1], parts[2], attachments); err != nil {
		return nil, err
	}
	if p.Namespace == "" { // ECO-RC-11
		p.Namespace = "/"
	}
	return p, nil
}

func readClassicBroadcast(p *cluster.Packet, packet, opts []byte, attachments [][]byte) error {
	o, err := clusterwire.ReadOptions(opts)
	if err != nil {
		return err
	}
	p.Timeout = o.Timeout
	m := &adapter.Message{
		Kind: adapter.Broadcast, Target: o.Target,
		Volatile: o.Volatile, NoCompress: o.NoCompress, DropOldest: o.DropOldest, Latest: o.Latest,
	}
	p.Message = m
	m.Data, m.Attachments, p.Namespace, err = clusterwire.ReadPacket(packet, attachments)
	return clusterwire.In("packet", err)
}

// readClassic reads the members of a request or a response. Its type is -1 if it has none.
func readClassic(message []byte) (m classicMembers, n int, err error) {
	if message[0] != '{' {
		return m, 0, errClassicShape
	}
	err = clusterwire.Members(message, func(name, value []byte) (err error) {
		switch present := clusterwire.Present(value); string(name) {
		case "type":
			m.typ = present
		case "uid":
			m.uid, err = clusterwire.String(present)
		case "requestId":
			m.requestID, err = clusterwire.String(present)
		case "opts":
			m.opts = present
		case "rooms":
			m.rooms = present
		case "close":
			m.close = present
		case "data":
			m.data = value // which may be null
		case "packet":
			m.packet = value
		case "sid":
			m.sid = present
		case "room":
			m.room = present
		case "sockets":
			m.sockets = present
		case "clientCount":
			m.clientCount = present
		}
		return clusterwire.In(name, err)
	})
	if err != nil {
		return m, 0, err
	}
	if strings.HasPrefix(m.requestID, classicMark) {
		return m, 0, errClassicID
	}
	if m.typ == nil {
		return m, -1, nil
	}
	if n, err = clusterwire.Int(m.typ, 255); err != nil {
		return m, 0, errClassicType
	}
	return m, n, nil
}

// request returns the packet of a request.
func (m *classicMembers) request(n int, attachments [][]byte) (*cluster.Packet, error) {
	p := &cluster.Packet{From: m.uid, RequestID: m.requestID}
	switch n {
	case classicSockets, classicAllRooms, classicFetch:
		return p, m.fetch(p, n)
	case classicJoin, classicLeave, classicDisconnect:
		return p, m.change(p, n)
	case classicServerEvent:
		p.Type, p.Message = cluster.ServerSideEmit, &adapter.Message{Kind: adapter.ServerEvent}
		var err error
		p.Message.Data, p.Message.Attachments, err = clusterwire.Event(m.data, attachments)
		return p, clusterwire.In("data", err)
	case classicBroadcast:
		if p.RequestID == "" {
			return nil, errClassicID
		}
		p.Type = cluster.Broadcast
		return p, readClassicBroadcast(p, m.packet, m.opts, attachments)
	case -1:
		return nil, errClassicType
	default:
		return nil, nil //nolint:nilnil // of a later version, and ignored as the official one does (CAP-F-24)
	}
}

// fetch reads a request for sockets, or for something that can be told from them.
func (m *classicMembers) fetch(p *cluster.Packet, n int) error {
	if p.RequestID == "" {
		return errClassicID
	}
	o, err := clusterwire.ReadOptions(m.opts)
	if err != nil {
		return err
	}
	p.Type, p.Message = cluster.FetchSockets, &adapter.Message{Kind: adapter.Fetch}
	switch n {
	case classicSockets:
		p.RequestID = classicSocketIDs + p.RequestID
		p.Message.Target.Rooms, err = clusterwire.Strings(m.rooms)
		return clusterwire.In("rooms", err)
	case classicAllRooms:
		p.RequestID = classicRoomNames + p.RequestID
	default:
		p.Message.Target = o.Target
	}
	return nil
}

// change reads a request to join, leave or disconnect. Old ones are about one socket, and
// its server confirms them (ECO-RC-26).
func (m *classicMembers) change(p *cluster.Packet, n int) (err error) {
	p.Message = new(adapter.Message)
	list := m.rooms
	switch {
	case m.opts != nil:
		o, err := clusterwire.ReadOptions(m.opts)
		if err != nil {
			return err
		}
		p.RequestID, p.Message.Target = "", o.Target
	case m.sid != nil:
		sid, err := clusterwire.String(m.sid)
		if err != nil || sid == "" {
			return errClassicTarget
		}
		p.Message.Target.Rooms = []string{sid}
		if p.RequestID != "" {
			p.RequestID = classicConfirming + p.RequestID
		}
		if list = nil; m.room != nil {
			list = bytes.Join([][]byte{{'['}, m.room, {']'}}, nil)
		}
	default:
		return errClassicTarget
	}
	if n == classicDisconnect {
		p.Type, p.Message.Kind, p.Message.Close = cluster.DisconnectSockets, adapter.Disconnect, clusterwire.Bool(m.close)
		return nil
	}
	p.Type, p.Message.Kind = cluster.SocketsJoin, adapter.Join
	if n == classicLeave {
		p.Type, p.Message.Kind = cluster.SocketsLeave, adapter.Leave
	}
	if list == nil {
		return errClassicRooms
	}
	p.Message.Rooms, err = clusterwire.Strings(list)
	return clusterwire.In("rooms", err)
}

// response returns the packet of a response.
func (m *classicMembers) response(n int, attachments [][]byte) (_ *cluster.Packet, err error) {
	if m.requestID == "" {
		return nil, errClassicID
	}
	p := &cluster.Packet{RequestID: m.requestID}
	switch {
	case n == classicClientCount:
		p.Type = cluster.BroadcastClientCount
		p.Clients, err = clusterwire.Int(m.clientCount, maxClients)
		return p, clusterwire.In("clientCount", err)
	case n == classicServerEvent || n == classicAck:
		value := m.data
		p.Type = cluster.ServerSideEmitResponse
		if n == classicAck {
			p.Type, value = cluster.BroadcastAck, m.packet
		}
		a := new(adapter.Ack)
		a.Data, a.Attachments, err = clusterwire.List(value, attachments)
		p.Reply = &adapter.Reply{Ack: a}
		return p, err
	case (n == -1 || n == classicFetch) && m.sockets != nil && !isIDs(m.sockets):
		p.Type, p.Reply = cluster.FetchSocketsResponse, new(adapter.Reply)
		p.Reply.Sockets, err = clusterwire.ReadSockets(m.sockets, attachments)
		return p, err
	default:
		return nil, nil //nolint:nilnil // answers what this module never asks
	}
}

// maxClients is how many clients a server may say that it has. More would be a mistake
// that costs memory.
const maxClients = 1 << 20

// isIDs reports whether a list has ids of sockets, and not sockets.
func isIDs(list []byte) bool {
	c := rawjson.Cursor{P: list}
	return c.Peek() == '[' && c.More() && c.Peek() != '{'
}
