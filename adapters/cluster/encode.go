package cluster

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/sioplug/sioplug/adapters/internal/clusterwire"
)

// Why a packet cannot be encoded.
var (
	errBinary  = errors.New("cluster: the packet has binary values: use AppendMessagePack")
	errNoType  = errors.New("unknown type")
	errMissing = errors.New("the packet has no message, reply or presence")
)

// AppendJSON appends p as JSON, as the official adapters send it: with the members type,
// data, uid and nsp. JSON has no binary values, so it returns an error if
// [Packet.HasBinary] reports true. It also does if p has invalid JSON or a string that
// is not UTF-8. Then dst is returned as it was.
func AppendJSON(dst []byte, p *Packet) ([]byte, error) {
	return appendJSON(dst, p, appendPacket)
}

// AppendMessagePack is [AppendJSON] for MessagePack, which has binary values.
func AppendMessagePack(dst []byte, p *Packet) ([]byte, error) {
	return appendMessagePack(dst, p, appendPacket)
}

// AppendDataJSON is [AppendJSON] for the member data alone. If packets of that type
// have none, it appends nothing.
func AppendDataJSON(dst []byte, p *Packet) ([]byte, error) {
	return appendJSON(dst, p, appendData)
}

// AppendDataMessagePack is [AppendDataJSON] for MessagePack.
func AppendDataMessagePack(dst []byte, p *Packet) ([]byte, error) {
	return appendMessagePack(dst, p, appendData)
}

func appendJSON(dst []byte, p *Packet, f func([]byte, *Packet) ([]byte, error)) ([]byte, error) {
	if p.HasBinary() {
		return dst, errBinary
	}
	out, err := f(dst, p)
	if err != nil {
		return dst, fmt.Errorf("cluster: encoding a packet of type %d: %w", p.Type, err)
	}
	return out, nil
}

func appendMessagePack(dst []byte, p *Packet, f func([]byte, *Packet) ([]byte, error)) (_ []byte, err error) {
	w := clusterwire.NewWriter()
	defer w.Free()
	w.JSON, err = f(w.JSON, p)
	if err == nil && len(w.JSON) > 0 {
		dst, err = w.AppendMessagePack(dst, p.attachments())
	}
	if err != nil {
		return dst, fmt.Errorf("cluster: encoding a packet of type %d: %w", p.Type, err)
	}
	return dst, nil
}

// HasBinary reports whether what is sent of the message or the reply has attachments.
func (p *Packet) HasBinary() bool {
	switch {
	case (p.Type == BroadcastAck || p.Type == ServerSideEmitResponse) && p.Reply != nil && p.Reply.Ack != nil:
		return clusterwire.FirstHasBinary(p.Reply.Ack.Data, p.Reply.Ack.Attachments)
	default:
		return len(p.attachments()) > 0
	}
}

// attachments returns the attachments of the message or the reply.
func (p *Packet) attachments() [][]byte {
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case Broadcast, ServerSideEmit:
		if p.Message != nil {
			return p.Message.Attachments
		}
	case Relayed:
		if len(p.Bytes) > maxInText {
			return [][]byte{p.Bytes}
		}
	case BroadcastAck, ServerSideEmitResponse, Answer:
		if p.Reply != nil && p.Reply.Ack != nil {
			return p.Reply.Ack.Attachments
		}
	default:
	}
	return nil
}

// appendPacket appends a packet as JSON, in which placeholders stand for attachments.
func appendPacket(dst []byte, p *Packet) (_ []byte, err error) {
	dst = strconv.AppendUint(append(dst, `{"type":`...), uint64(p.Type), 10)
	before := len(dst)
	dst = append(dst, `,"data":`...)
	after := len(dst)
	if dst, err = appendData(dst, p); err != nil {
		return dst, err
	}
	if len(dst) == after {
		dst = dst[:before]
	}
	if p.From != "" {
		if dst, err = clusterwire.AppendString(append(dst, `,"uid":`...), p.From); err != nil {
			return dst, clusterwire.In("uid", err)
		}
	}
	if p.Namespace != "" {
		if dst, err = clusterwire.AppendString(append(dst, `,"nsp":`...), p.Namespace); err != nil {
			return dst, clusterwire.In("nsp", err)
		}
	}
	return append(dst, '}'), nil
}

// appendData appends the member data, in the order of the official adapters.
func appendData(dst []byte, p *Packet) ([]byte, error) {
	switch p.Type {
	case AdapterClose:
		return dst, nil
	case InitialHeartbeat, Heartbeat:
		return appendPresence(dst, p.Presence)
	case Broadcast, SocketsJoin, SocketsLeave, DisconnectSockets, FetchSockets, ServerSideEmit:
		if p.Message == nil {
			return dst, errMissing
		}
		return appendMessage(append(dst, '{'), p)
	case FetchSocketsResponse, ServerSideEmitResponse, BroadcastClientCount, BroadcastAck:
		return appendResponse(append(dst, '{'), p)
	case Answer, Cancel, Resync, Relayed:
		return appendOwn(append(dst, '{'), p)
	default:
		return dst, errNoType
	}
}

// appendMessage appends the members of a message or a request.
func appendMessage(dst []byte, p *Packet) (_ []byte, err error) {
	m := p.Message
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case ServerSideEmit:
		if dst, err = appendRequestID(dst, p); err != nil {
			return dst, err
		}
		dst, err = clusterwire.AppendEvent(clusterwire.Name(dst, "packet"), m.Data, m.Attachments)
		return append(dst, '}'), err
	case Broadcast:
		dst, err = clusterwire.AppendEvent(append(dst, `"packet":{"type":2,"data":`...), m.Data, m.Attachments)
		if err != nil {
			return dst, err
		}
		dst = append(dst, '}')
		if dst, err = appendRequestID(dst, p); err != nil {
			return dst, err
		}
	default:
	}
	o := clusterwire.Options{Target: m.Target, Volatile: m.Volatile, NoCompress: m.NoCompress, DropOldest: m.DropOldest, Latest: m.Latest, Timeout: p.Timeout}
	if dst, err = o.Append(clusterwire.Name(dst, "opts"), true); err != nil {
		return dst, err
	}
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case SocketsJoin, SocketsLeave:
		dst, err = clusterwire.AppendStrings(append(dst, `,"rooms":`...), m.Rooms)
		if m.Pin {
			dst = append(dst, `,"pin":true`...) // for a log; official servers ignore it
		}
	case DisconnectSockets:
		dst = strconv.AppendBool(append(dst, `,"close":`...), m.Close)
	case FetchSockets:
		dst, err = appendRequestID(dst, p)
	default:
	}
	return append(dst, '}'), err
}

func appendRequestID(dst []byte, p *Packet) ([]byte, error) {
	return appendText(dst, "requestId", p.RequestID)
}

// appendText appends a member with a string, unless that is empty.
func appendText(dst []byte, name, s string) ([]byte, error) {
	if s == "" {
		return dst, nil
	}
	dst, err := clusterwire.AppendString(clusterwire.Name(dst, name), s)
	return dst, clusterwire.In(name, err)
}

// appendResponse appends the members of a response of the official adapters.
func appendResponse(dst []byte, p *Packet) (_ []byte, err error) {
	if dst, err = appendRequestID(dst, p); err != nil {
		return dst, err
	}
	switch {
	case p.Type == BroadcastClientCount:
		dst = strconv.AppendInt(clusterwire.Name(dst, "clientCount"), int64(p.Clients), 10)
	case p.Reply == nil:
		return dst, errMissing
	case p.Type == FetchSocketsResponse:
		dst, err = clusterwire.AppendSockets(clusterwire.Name(dst, "sockets"), p.Reply.Sockets)
	case p.Reply.Ack == nil:
		return dst, errMissing
	default:
		var first []byte
		if first, err = clusterwire.First(p.Reply.Ack.Data); first != nil {
			dst = append(clusterwire.Name(dst, "packet"), first...)
		}
	}
	return append(dst, '}'), err
}
