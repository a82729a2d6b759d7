package parsertest

import (
	"encoding/base64"
	"fmt"

	"github.com/sioplug/sioplug/internal/packet"
)

// A Packet is one whose payload is a tree of nil, bool, float64, string, []byte,
// []any and map[string]any.
type Packet struct {
	Type      packet.Type
	Namespace string
	ID        uint64
	HasID     bool
	Data      any // []any of an Event or an Ack, nil for none
}

// Event returns the name and the arguments of an event.
func (p Packet) Event() (name string, args []any) {
	list, _ := p.Data.([]any)
	name, _ = list[0].(string)
	return name, list[1:]
}

// String describes the packet.
func (p Packet) String() string {
	return fmt.Sprintf("{type %d, namespace %q, id %d %t, data %.300q}", p.Type, p.Namespace, p.ID, p.HasID, fmt.Sprint(p.Data))
}

// A wirePacket is what the process takes and gives.
type wirePacket struct {
	Type      packet.Type `json:"type"`
	Namespace string      `json:"nsp"`
	ID        *uint64     `json:"id,omitempty"`
	Data      any         `json:"data,omitempty"`
}

func (p Packet) toWire() *wirePacket {
	w := &wirePacket{Type: p.Type, Namespace: p.Namespace, Data: wrap(p.Data)}
	if p.HasID {
		w.ID = &p.ID
	}
	return w
}

func (w *wirePacket) fromWire() Packet {
	p := Packet{Type: w.Type, Namespace: w.Namespace, Data: unwrap(w.Data)}
	if w.ID != nil {
		p.ID, p.HasID = *w.ID, true
	}
	return p
}

// binaryName is the member of an object that stands for bytes on the way to the
// process and back.
const binaryName = "$binary"

func wrap(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]any{binaryName: base64.StdEncoding.EncodeToString(v)}
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = wrap(e)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, e := range v {
			object[name] = wrap(e)
		}
		return object
	default:
		return v
	}
}

// unwrap is the reverse of wrap, in place.
func unwrap(v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = unwrap(e)
		}
	case map[string]any:
		if text, ok := v[binaryName].(string); ok {
			p, err := base64.StdEncoding.DecodeString(text)
			if err == nil {
				return p
			}
		}
		for name, e := range v {
			v[name] = unwrap(e)
		}
	}
	return v
}
