package engine

import (
	"encoding/json"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
)

// Packets without content are the same for all clients.
//
//nolint:gochecknoglobals // immutable
var (
	closePacket = textPacket("1")
	pingPacket  = textPacket("2")
	pongPacket  = textPacket("3")
	probePong   = textPacket("3probe")
	noopPacket  = textPacket("6")
)

func textPacket(s string) *frame.Frame {
	return frame.Text(append(frame.Buffer(len(s)), s...))
}

// openPacketTail returns what the open packet has behind the session id.
func (e *Server) openPacketTail(upgrades []string) []byte {
	tail, err := json.Marshal(struct {
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{upgrades, e.opts.PingInterval.Milliseconds(), e.opts.PingTimeout.Milliseconds(), e.opts.MaxHTTPBufferSize})
	if err != nil {
		return nil // cannot happen: strings and integers
	}
	return tail[1:] // without the opening brace
}

// openPacket returns the open packet (EIO-HS-1).
func (e *Server) openPacket(id string, tail []byte) *frame.Frame {
	const head = `0{"sid":"`
	buf := append(frame.Buffer(len(head)+len(id)+2+len(tail)), head...)
	buf = append(append(buf, id...), `",`...)
	return frame.Text(append(buf, tail...))
}

// initialPacketFrame returns the frame of Options.InitialPacket (EIO-HS-7), nil if
// there is none.
func initialPacketFrame(packet any) *frame.Frame {
	switch p := packet.(type) {
	case string:
		return frame.Text(append(append(frame.Buffer(1+len(p)), byte(payload.Message)), p...))
	case []byte:
		return frame.Binary(append(frame.Buffer(len(p)), p...))
	default:
		return nil
	}
}
