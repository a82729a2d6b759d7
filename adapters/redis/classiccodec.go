package redisadapter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/clusterwire"
	"github.com/sioplug/sioplug/core/adapter"
)

// The types of requests and responses of the classic adapter.
const (
	classicSockets     = iota // ids of sockets; asked by versions before 7
	classicAllRooms           // names of rooms
	classicJoin               // 2
	classicLeave              // 3
	classicDisconnect         // 4
	classicFetch              // 5; its response has no type
	classicServerEvent        // 6; also the type of its response
	classicBroadcast          // 7; with acks
	classicClientCount        // 8; a response
	classicAck                // 9; a response
)

// Prefixes of the ids of requests that [cluster.Packet] has no type for. They become a
// FetchSockets. Because the response has the same id, appendClassic knows its form. No id
// on the wire may begin with that byte.
const (
	classicMark       = "\x00"
	classicSocketIDs  = classicMark + "s" // type 0: only ids are wanted
	classicRoomNames  = classicMark + "r" // type 1: only rooms are wanted
	classicConfirming = classicMark + "c" // an old form for one socket: wants to know whether it is here
)

var (
	errClassicType   = errors.New("invalid type")
	errClassicID     = errors.New("no valid requestId")
	errClassicTarget = errors.New("neither opts nor sid")
	errClassicRooms  = errors.New("no rooms")
	errClassicShape  = errors.New("neither a map nor an array of sender, packet and options")
	errClassicPacket = errors.New("the packet has no message or reply")
)

// appendClassic appends a packet as the classic adapter sends it. It appends nothing, and
// returns no error, if the packet need not be sent. Packets of the types that only servers
// of this module send have the form of [cluster.AppendMessagePack].
func appendClassic(dst []byte, p *cluster.Packet) ([]byte, error) {
	w := clusterwire.NewWriter()
	defer w.Free()
	var attachments [][]byte
	var binary bool
	var err error
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case cluster.Broadcast, cluster.SocketsJoin, cluster.SocketsLeave, cluster.DisconnectSockets,
		cluster.FetchSockets, cluster.ServerSideEmit:
		if p.Message == nil {
			err = errClassicPacket
			break
		}
		attachments = p.Message.Attachments
		binary = p.Type == cluster.Broadcast || p.HasBinary()
		w.JSON, err = appendClassicMessage(w.JSON, p)
	case cluster.FetchSocketsResponse, cluster.ServerSideEmitResponse, cluster.BroadcastClientCount, cluster.BroadcastAck:
		if p.Reply != nil && p.Reply.Ack != nil {
			attachments = p.Reply.Ack.Attachments
		}
		binary = p.Type == cluster.BroadcastAck || p.HasBinary()
		w.JSON, err = appendClassicResponse(w.JSON, p)
	default:
		return cluster.AppendMessagePack(dst, p)
	}
	switch {
	case err != nil:
	case !binary:
		return append(dst, w.JSON...), nil
	case len(w.JSON) > 0:
		dst, err = w.AppendMessagePack(dst, attachments)
	}
	if err != nil {
		return dst, fmt.Errorf("redisadapter: encoding a packet of type %d: %w", p.Type, err)
	}
	return dst, nil
}

// appendClassicMessage appends a message or a request.
func appendClassicMessage(dst []byte, p *cluster.Packet) (_ []byte, err error) {
	m := p.Message
	o := clusterwire.Options{Target: m.Target, Volatile: m.Volatile, NoCompress: m.NoCompress, DropOldest: m.DropOldest, Latest: m.Latest, Timeout: p.Timeout}
	if p.Type == cluster.Broadcast && p.RequestID == "" {
		if dst, err = clusterwire.AppendString(append(dst, '['), p.From); err != nil {
			return dst, err
		}
		if dst, err = appendClassicPacket(append(dst, ','), p); err != nil {
			return dst, err
		}
		dst, err = o.Append(append(dst, ','), true)
		return append(dst, ']'), err
	}
	dst = append(dst, '{')
	if dst, err = appendClassicText(dst, "uid", p.From); err != nil {
		return dst, err
	}
	if dst, err = appendClassicText(dst, "requestId", p.RequestID); err != nil {
		return dst, err
	}
	dst = clusterwire.Name(dst, "type")
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case cluster.ServerSideEmit:
		dst, err = clusterwire.AppendEvent(append(dst, `6,"data":`...), m.Data, m.Attachments)
	case cluster.Broadcast:
		if dst, err = appendClassicPacket(append(dst, `7,"packet":`...), p); err == nil {
			dst, err = o.Append(append(dst, `,"opts":`...), true)
		}
	case cluster.FetchSockets:
		dst, err = o.Append(append(dst, `5,"opts":`...), false)
	case cluster.DisconnectSockets:
		dst, err = o.Append(append(dst, `4,"opts":`...), false)
		dst = strconv.AppendBool(append(dst, `,"close":`...), m.Close)
	default: // join and leave
		n := byte('0' + classicJoin)
		if p.Type == cluster.SocketsLeave {
			n = '0' + classicLeave
		}
		if dst, err = o.Append(append(append(dst, n), `,"opts":`...), false); err == nil {
			dst, err = clusterwire.AppendStrings(append(dst, `,"rooms":`...), m.Rooms)
		}
	}
	return append(dst, '}'), err
}

// appendClassicPacket appends the packet of a broadcast.
func appendClassicPacket(dst []byte, p *cluster.Packet) ([]byte, error) {
	dst, err := clusterwire.AppendEvent(append(dst, `{"type":2,"data":`...), p.Message.Data, p.Message.Attachments)
	if err != nil {
		return dst, err
	}
	dst, err = clusterwire.AppendString(append(dst, `,"nsp":`...), p.Namespace)
	return append(dst, '}'), err
}

// appendClassicText appends a member with a string, unless that is empty.
func appendClassicText(dst []byte, name, s string) ([]byte, error) {
	if s == "" {
		return dst, nil
	}
	dst, err := clusterwire.AppendString(clusterwire.Name(dst, name), s)
	return dst, clusterwire.In(name, err)
}

// appendClassicResponse appends a response.
func appendClassicResponse(dst []byte, p *cluster.Packet) (_ []byte, err error) {
	if p.Type != cluster.BroadcastClientCount && (p.Reply == nil || p.Type != cluster.FetchSocketsResponse && p.Reply.Ack == nil) {
		return dst, errClassicPacket
	}
	if p.Type == cluster.FetchSocketsResponse {
		return appendClassicSockets(dst, p)
	}
	name, n := "packet", classicAck
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case cluster.BroadcastClientCount:
		n = classicClientCount
	case cluster.ServerSideEmitResponse:
		name, n = "data", classicServerEvent
	default:
	}
	dst = strconv.AppendInt(append(dst, `{"type":`...), int64(n), 10)
	if dst, err = appendClassicText(dst, "requestId", p.RequestID); err != nil {
		return dst, err
	}
	if n == classicClientCount {
		return append(strconv.AppendInt(append(dst, `,"clientCount":`...), int64(p.Clients), 10), '}'), nil
	}
	first, err := clusterwire.First(p.Reply.Ack.Data)
	if first != nil {
		dst = append(clusterwire.Name(dst, name), first...)
	}
	return append(dst, '}'), err
}

// appendClassicSockets appends the response to a request for sockets, in the form that was
// asked for.
func appendClassicSockets(dst []byte, p *cluster.Packet) (_ []byte, err error) {
	id, sockets := p.RequestID, p.Reply.Sockets
	mark := ""
	if strings.HasPrefix(id, classicMark) && len(id) >= len(classicSocketIDs) {
		mark, id = id[:len(classicSocketIDs)], id[len(classicSocketIDs):]
	}
	if mark == classicConfirming && len(sockets) == 0 {
		return dst, nil // as the official one: only the server that has it answers
	}
	if dst, err = clusterwire.AppendString(append(dst, `{"requestId":`...), id); err != nil {
		return dst, err
	}
	switch mark {
	case classicConfirming:
	case classicSocketIDs, classicRoomNames:
		name, list := "rooms", rooms(sockets)
		if mark == classicSocketIDs {
			name, list = "sockets", ids(sockets)
		}
		dst, err = clusterwire.AppendStrings(clusterwire.Name(dst, name), list)
	default:
		dst, err = clusterwire.AppendSockets(append(dst, `,"sockets":`...), sockets)
	}
	return append(dst, '}'), err
}

func ids(sockets []adapter.Socket) []string {
	list := make([]string, len(sockets))
	for i, s := range sockets {
		list[i] = s.ID
	}
	return list
}

// rooms returns the names of all rooms that sockets are in, each of them once.
func rooms(sockets []adapter.Socket) []string {
	var list []string
	for _, s := range sockets {
		list = append(list, s.Rooms...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// confirmation returns the request that finds out whether the socket of an old form is
// here, so that its sender is told. It is nil for other packets. The broker passes it on
// before p itself, which may disconnect the socket.
func confirmation(p *cluster.Packet) *cluster.Packet {
	if !strings.HasPrefix(p.RequestID, classicConfirming) || p.Type == cluster.FetchSockets {
		return nil
	}
	return &cluster.Packet{
		Type: cluster.FetchSockets, From: p.From, Namespace: p.Namespace, RequestID: p.RequestID,
		Message: &adapter.Message{Kind: adapter.Fetch, Target: p.Message.Target},
	}
}
