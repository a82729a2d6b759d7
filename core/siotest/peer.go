package siotest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/packet"
)

// The reasons of [Peer.Disconnected], as in the JavaScript client.
const (
	ServerDisconnect = "io server disconnect" // the server had it leave the namespace
	ClientDisconnect = "io client disconnect" // it left by [Peer.Disconnect]
	TransportClose   = "transport close"      // its connection has ended
)

// A Peer is a client in one namespace, over a WebSocket of its own. It sends and receives
// events, while a [Client] sends and receives packets. It reads all the time, and keeps
// events until the test takes them.
//
// Its methods fail the test at once if they do not succeed, so call them on the test's
// goroutine. [Peer.Emit] and [Peer.Ask] may be called on any goroutine while the client is
// connected. The client is closed when the test ends. The server has to use the protocol's
// own parser.
type Peer struct {
	tb        testing.TB
	client    *Client
	namespace string
	id        string
	inbox     *inbox
}

// Connect connects a client in memory to a namespace. h is a [*sio.Server], or an
// application that has one mounted at "/socket.io/". The auth payload is a value that
// encodes as a JSON object, or nil.
//
// It fails the test if the client is refused; for that, see [TryConnect]. To use
// one network for several clients, or headers, see [Dialer.Connect].
func Connect(tb testing.TB, h http.Handler, namespace string, auth any) *Peer {
	tb.Helper()
	return Pipes(tb, h).Connect(tb, namespace, auth)
}

// TryConnect is [Connect] for a client that may be refused. The error is then
// the server's: an [*sio.Error] with the message, and the data as
// [encoding/json.Unmarshal] decodes it into an any.
func TryConnect(tb testing.TB, h http.Handler, namespace string, auth any) (*Peer, error) {
	tb.Helper()
	return Pipes(tb, h).TryConnect(tb, namespace, auth)
}

// Connect connects a client to a namespace, as the function [Connect] does.
func (d Dialer) Connect(tb testing.TB, namespace string, auth any) *Peer {
	tb.Helper()
	p, err := d.TryConnect(tb, namespace, auth)
	if err != nil {
		tb.Fatalf("siotest: connecting to %q: %v", namespace, err)
	}
	return p
}

// TryConnect connects a client that may be refused, as the function
// [TryConnect] does.
func (d Dialer) TryConnect(tb testing.TB, namespace string, auth any) (*Peer, error) {
	tb.Helper()
	p := d.startConnect(tb, namespace, auth)
	if err := p.accepted(); err != nil {
		return nil, err
	}
	return p, nil
}

// startConnect sends CONNECT and does not wait for the answer.
func (d Dialer) startConnect(tb testing.TB, namespace string, auth any) *Peer {
	tb.Helper()
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	var payload []byte
	if auth != nil {
		var err error
		if payload, err = packet.AppendValue(nil, nil, auth); err != nil || !bytes.HasPrefix(payload, []byte("{")) {
			tb.Fatalf("siotest: auth payload %v does not encode as an object: %v", auth, err)
		}
	}
	c := d.WebSocket(tb)
	p := &Peer{tb: tb, client: c, namespace: namespace, inbox: newInbox(tb, c, namespace)}
	c.Send(string(packet.AppendConnect([]byte{'4'}, namespace, payload)))
	return p
}

// accepted waits for the answer to CONNECT.
func (p *Peer) accepted() error {
	p.tb.Helper()
	answer := p.inbox.waitAnswer()
	if answer == nil {
		p.tb.Fatalf("siotest: connecting to %q: %s", p.namespace, p.inbox.endReason())
	}
	var reply struct {
		wireError

		SID string `json:"sid"`
	}
	if err := json.Unmarshal(answer.Data, &reply); err != nil {
		p.tb.Fatalf("siotest: answer to CONNECT: %s", answer.Data)
	}
	if answer.Type == packet.ConnectError {
		return reply.toError()
	}
	p.id = reply.SID
	return nil
}

// ID returns the id of the client's socket.
func (p *Peer) ID() string { return p.id }

// Emit sends an event. Arguments are encoded as by [sio.Socket.Emit].
func (p *Peer) Emit(event string, args ...any) {
	p.tb.Helper()
	p.emit(packet.Header{Namespace: p.namespace}, event, args)
}

// Ask sends an event that the server is to acknowledge. It does not wait for the
// acknowledgement. The methods of [Ack] do. So the server can ask the client something
// meanwhile.
func (p *Peer) Ask(event string, args ...any) *Ack {
	p.tb.Helper()
	a := &Ack{tb: p.tb, inbox: p.inbox, event: event}
	id := p.inbox.expectAck(a)
	p.emit(packet.Header{Namespace: p.namespace, ID: id, HasID: true}, event, args)
	return a
}

func (p *Peer) emit(h packet.Header, event string, args []any) {
	p.tb.Helper()
	text, attachments, err := packet.AppendEvent([]byte{'4'}, nil, h, event, args)
	if err != nil {
		p.tb.Fatalf("siotest: encoding %q: %v", event, err)
	}
	if err := p.client.TrySend(packets(text, attachments)...); err != nil {
		p.tb.Fatalf("siotest: emitting %q: %v", event, err)
	}
}

// Next waits for the next event that has not been taken yet, and takes it.
// Events that came before the client was disconnected can still be taken.
func (p *Peer) Next() *Event {
	p.tb.Helper()
	e := p.inbox.takeEvent()
	if e == nil {
		p.tb.Fatalf("siotest: waiting for an event: %s", p.inbox.endReason())
	}
	return e
}

// Expect takes the next event and fails the test unless it has that name. It
// decodes the arguments into dst as [Event.Bind] does.
func (p *Peer) Expect(event string, dst ...any) *Event {
	p.tb.Helper()
	e := p.inbox.takeEvent()
	switch {
	case e == nil:
		p.tb.Fatalf("siotest: waiting for %q: %s", event, p.inbox.endReason())
	case e.Name != event:
		p.tb.Fatalf("siotest: the next event is %v, want %q", e, event)
	}
	e.Bind(dst...)
	return e
}

// ExpectNone fails the test if there is an event that has not been taken. In a
// bubble of testing/synctest, after [testing/synctest.Wait], that means that the
// server has emitted nothing else; elsewhere only that nothing has come so far.
func (p *Peer) ExpectNone() {
	p.tb.Helper()
	for _, e := range p.inbox.unread() {
		p.tb.Errorf("siotest: the server emitted %v", e)
	}
}

// AutoAck makes the client acknowledge events of that name from now on, with args.
// [Peer.Next] and [Peer.Expect] do not return these events. Use it if the test's own
// goroutine waits for the answer: in [sio.EmitWithAck], for example.
func (p *Peer) AutoAck(event string, args ...any) {
	p.tb.Helper()
	data, attachments, err := packet.AppendAckData(nil, nil, args)
	if err != nil {
		p.tb.Fatalf("siotest: encoding acks of %q: %v", event, err)
	}
	p.inbox.ackBy(event, content{data, attachments})
}

// Disconnect has the client leave: first the namespace, then the connection.
// The server's reason is [sio.ReasonClientNamespaceDisconnect].
func (p *Peer) Disconnect() {
	p.tb.Helper()
	p.inbox.end(ClientDisconnect)
	p.client.Send(string(packet.AppendDisconnect([]byte{'4'}, p.namespace)), "1")
}

// Abort closes the connection without a close packet, as a network failure does. The
// server's reason is [sio.ReasonTransportClose].
func (p *Peer) Abort() { p.client.transport.abort() }

// Disconnected waits until the client is disconnected, and returns why:
// [ServerDisconnect], [ClientDisconnect] or [TransportClose].
func (p *Peer) Disconnected() (reason string) {
	p.tb.Helper()
	if !p.inbox.wait(func() bool { return p.inbox.ended != "" }) {
		p.tb.Fatalf("siotest: the server does not disconnect the client")
	}
	return p.inbox.endReason()
}
