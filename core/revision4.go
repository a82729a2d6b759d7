package sio

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
)

// Clients of version 2 speak revision 4 of the Socket.IO protocol, over revision 3 of
// Engine.IO. Only the way to connect differs from revision 5 (SIO section 12).

// isRevision4 reports whether the client speaks revision 4.
func (c *client) isRevision4() bool { return c.session.Protocol() == 3 }

// framesFor returns frames that the client can read. Clients of Socket.IO 1 on polling
// close the connection at a U+FFFD, by which we replace half a surrogate pair. They get
// an escape instead, as from the reference.
func (c *client) framesFor(m []*frame.Frame) []*frame.Frame {
	if !c.isRevision4() || c.server.wire.parser != nil || m[0].Binary() || !bytes.Contains(m[0].Payload(), []byte("\ufffd")) {
		return m
	}
	text := m[0].Payload()
	escaped := frame.Text(packet.EscapeReplacements(append(frame.Buffer(len(text)), text[0]), text[1:]))
	escaped.CopyPolicy(m[0])
	if m[0].Uncompressed() {
		escaped.SetUncompressed()
	}
	return append([]*frame.Frame{escaped}, m[1:]...)
}

// A revision4Client does not send CONNECT for the root namespace (SIO-V2-1).
type revision4Client struct{ *client }

// Opened implements [engine.Opener].
func (c revision4Client) Opened() {
	// It can only fail because the session has ended, which others tell.
	_ = c.connect(packet.Packet{Type: packet.Connect, Namespace: "/"})
	c.line.Start() // the engine does not call Work yet
}

// fromRevision4 returns a packet of an old client as one of revision 5. Its CONNECT has
// no payload: auth data is in the query part of the namespace (SIO-NS-3, SIO-V2-3).
func fromRevision4(p packet.Packet) packet.Packet {
	name, query, found := strings.Cut(p.Namespace, "?")
	p.Namespace = name
	if p.Type == packet.Connect {
		p.Data = nil
		if found {
			p.Data = authFromQuery(query)
		}
	}
	return p
}

// authFromQuery returns a query as a JSON object. A repeated key becomes an array.
func authFromQuery(query string) []byte {
	values := engine.ParseQuery(query)
	auth := make(map[string]any, len(values))
	for key, v := range values {
		if len(v) == 1 {
			auth[key] = v[0]
		} else {
			auth[key] = v
		}
	}
	data, _ := json.Marshal(auth) //nolint:errchkjson // strings always encode
	return data
}
