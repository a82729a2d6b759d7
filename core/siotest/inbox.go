package siotest

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/packet"
)

// An inbox has the packets that a [Peer] has received. Its goroutine reads all the time, so
// the server never waits for the test, and pings are answered.
type inbox struct {
	tb        testing.TB
	client    *Client
	namespace string
	done      chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	changed chan struct{}  // closed, and replaced, when something below changes
	answer  *packet.Packet // to CONNECT
	events  []*Event
	asked   uint64          // number of events with an ack, and the id of the last one
	acks    map[uint64]*Ack // the missing ones, by id
	auto    map[string]content
	ended   string // the reason of the end; "" while connected
}

// A content is the JSON and the attachments of an ack.
type content struct {
	data        []byte
	attachments [][]byte
}

// newInbox returns the inbox of a client that reads until the test ends.
func newInbox(tb testing.TB, c *Client, namespace string) *inbox {
	tb.Helper()
	b := &inbox{
		tb: tb, client: c, namespace: namespace, done: make(chan struct{}),
		changed: make(chan struct{}), acks: make(map[uint64]*Ack), auto: make(map[string]content),
	}
	go b.read() // ends with the connection
	tb.Cleanup(func() {
		c.transport.abort()
		<-b.done
	})
	return b
}

func (b *inbox) read() {
	defer close(b.done)
	defer b.end(TransportClose)
	d := packet.Decoder{MaxAttachments: math.MaxInt32}
	for {
		text, err := b.client.nextBefore(time.Time{})
		if err != nil {
			return
		}
		p, complete, err := decode(&d, text)
		if err != nil || complete && p.Namespace != b.namespace {
			b.tb.Errorf("siotest: the server sends %q, which a client of %s does not understand: %v",
				abridge([]string{text}), b.namespace, err)
			b.client.transport.abort()
			return
		}
		if complete {
			b.receive(p)
		}
	}
}

// decode decodes a packet of a [Client].
func decode(d *packet.Decoder, text string) (packet.Packet, bool, error) {
	if data, ok := strings.CutPrefix(text, "b"); ok {
		p, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			return packet.Packet{}, false, err
		}
		return d.Binary(p)
	}
	return d.Text([]byte(strings.TrimPrefix(text, "4")))
}

// packets is the reverse of decode, for a text and its attachments.
func packets(text []byte, attachments [][]byte) []string {
	list := []string{string(text)}
	for _, a := range attachments {
		list = append(list, "b"+base64.StdEncoding.EncodeToString(a))
	}
	return list
}

func (b *inbox) receive(p packet.Packet) {
	switch p.Type {
	case packet.Connect, packet.ConnectError:
		b.change(func() { b.answer = &p })
	case packet.Disconnect:
		b.end(ServerDisconnect)
	case packet.Ack:
		b.change(func() {
			if a := b.acks[p.ID]; a != nil && p.HasID {
				a.args, a.done = p.Args, true
				delete(b.acks, p.ID)
			}
		})
	case packet.Event:
		b.event(&Event{Name: string(p.Name), tb: b.tb, inbox: b, args: p.Args, id: p.ID, wantsAck: p.HasID})
	}
}

// event acknowledges an event or keeps it.
func (b *inbox) event(e *Event) {
	var ack content
	var auto bool
	b.change(func() {
		if ack, auto = b.auto[e.Name]; !auto {
			b.events = append(b.events, e)
		}
	})
	if auto && e.wantsAck {
		_ = b.ack(e.id, ack) // the server may have gone
	}
}

// ack sends an ack.
func (b *inbox) ack(id uint64, c content) error {
	h := packet.Header{Namespace: b.namespace, ID: id, HasID: true}
	text := packet.AppendWithData([]byte{'4'}, packet.Ack, h, c.data, len(c.attachments))
	return b.client.TrySend(packets(text, c.attachments)...)
}

// change makes a change, and wakes all calls of wait.
func (b *inbox) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
	close(b.changed)
	b.changed = make(chan struct{})
}

// wait waits until done, which is called with mu held, reports true. It gives up
// and returns false if the client is disconnected or has waited for too long.
func (b *inbox) wait(done func() bool) bool {
	timer := time.NewTimer(b.client.dialer.waitLimit())
	defer timer.Stop()
	for {
		b.mu.Lock()
		ok, over, changed := done(), b.ended != "", b.changed
		b.mu.Unlock()
		if ok || over {
			return ok
		}
		select {
		case <-changed:
		case <-timer.C:
			return false
		}
	}
}

// endReason returns the reason why wait has returned false.
func (b *inbox) endReason() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == "" {
		return "the server sends nothing"
	}
	return b.ended
}

// end notes why the connection has ended. The first reason counts.
func (b *inbox) end(why string) {
	b.change(func() {
		if b.ended == "" {
			b.ended = why
		}
	})
}

// waitAnswer returns the answer to CONNECT, or nil if none comes.
func (b *inbox) waitAnswer() (answer *packet.Packet) {
	b.wait(func() bool { answer = b.answer; return answer != nil })
	return answer
}

// takeEvent returns the next event, or nil if none comes.
func (b *inbox) takeEvent() (e *Event) {
	b.wait(func() bool {
		if len(b.events) == 0 {
			return false
		}
		e, b.events = b.events[0], b.events[1:]
		return true
	})
	return e
}

// unread returns the waiting events without taking them.
func (b *inbox) unread() []*Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

// expectAck returns the id for an event. Its ack goes to a.
func (b *inbox) expectAck(a *Ack) (id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	b.acks[b.asked] = a
	return b.asked
}

func (b *inbox) ackBy(event string, c content) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.auto[event] = c
}
