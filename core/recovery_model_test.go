package sio_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// What clients may be sent when they come back, whatever they claim to have got,
// compared with a model: whoever would have got an event live gets it, and nobody else.

// A notedLog notes the offsets of its messages: the first is where it began.
type notedLog struct {
	adapter.Log

	offsets []string
}

func (l *notedLog) Append(m *adapter.Message, deliver func(offset string)) error {
	return l.Log.Append(m, func(offset string) {
		l.offsets = append(l.offsets, offset)
		deliver(offset)
	})
}

// A modelServer is a server with what the model knows about it.
type modelServer struct {
	t       *testing.T
	srv     *sio.Server
	d       siotest.Dialer
	log     *notedLog
	sockets map[string]*sio.Socket
	clients []*modelClient
	input   []byte // of what is to be done
	events  int
}

// A modelClient is a client and what it may get.
type modelClient struct {
	visitor

	sock      *sio.Socket
	connected bool
	session   bool            // it is connected, or may come back
	rooms     map[string]bool // and whether it is pinned there
	due       []int           // numbers of messages that were for it
	read      int             // how many of these it has got
	from      int             // it has said that it has got what was before
	tried     int             // from, when it came back and missed something; -1 for never
}

var modelRooms = []string{"a", "b", "c"}

// choose returns a number below n.
func (m *modelServer) choose(n int) int {
	if len(m.input) == 0 {
		return 0
	}
	b := m.input[0]
	m.input = m.input[1:]
	return int(b) % n
}

func (m *modelServer) client() *modelClient { return m.clients[m.choose(len(m.clients))] }

// names returns none, one or two rooms, ids among them.
func (m *modelServer) names() (names []string) {
	all := slices.Clone(modelRooms)
	for _, c := range m.clients {
		all = append(all, c.id)
	}
	for range m.choose(3) {
		names = append(names, all[m.choose(len(all))])
	}
	return names
}

// in reports whether the client is in any of the rooms.
func (c *modelClient) in(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, in := c.rooms[name]
		return in || name == c.id
	})
}

// set returns a set of sockets, and who is in it according to the model.
func (m *modelServer) set() (b sio.Broadcast, in []*modelClient) {
	to, except := m.names(), m.names()
	if m.choose(2) == 0 {
		except = nil
	}
	for _, c := range m.clients {
		if c.session && (len(to) == 0 || c.in(to)) && !c.in(except) {
			in = append(in, c)
		}
	}
	return m.srv.To(to...).Except(except...), in
}

func (c *modelClient) join(room string, pin bool) {
	if room != c.id {
		c.rooms[room] = c.rooms[room] || pin
	}
}

func (c *modelClient) leave(room string, pinned bool) {
	if pin := c.rooms[room]; pinned || !pin {
		delete(c.rooms, room)
	}
}

// step does one thing.
func (m *modelServer) step() {
	room := modelRooms[m.choose(len(modelRooms))]
	switch m.choose(16) {
	case 0, 1, 2, 3, 4, 5:
		b, in := m.set()
		m.events++
		must(m.t, b.Emit("e", m.events))
		for _, c := range in {
			c.due = append(c.due, len(m.log.offsets)-1)
		}
	case 6:
		b, in := m.set()
		must(m.t, b.Join(room))
		for _, c := range in {
			c.join(room, false)
		}
	case 7:
		b, in := m.set()
		must(m.t, b.Leave(room))
		for _, c := range in {
			c.leave(room, false)
		}
	case 8, 9:
		m.ofOne(room)
	case 10:
		if b, in := m.set(); m.choose(4) == 0 {
			must(m.t, b.Disconnect())
			m.kicked(in...)
		}
	case 11, 12, 13:
		if c := m.client(); c.connected {
			c.get(m, m.choose(4))
			c.Abort()
			c.connected = false
			synctest.Wait()
		}
	default:
		if c := m.client(); !c.connected {
			m.comeBack(c)
		}
	}
}

// ofOne does something to one client, by its socket.
func (m *modelServer) ofOne(room string) {
	c := m.client()
	if !c.session {
		return
	}
	switch m.choose(6) {
	case 0, 1:
		must(m.t, c.sock.Join(room))
		c.join(room, false)
	case 2:
		must(m.t, c.sock.Leave(room))
		c.leave(room, false)
	case 3:
		must(m.t, c.sock.Pin(room))
		c.join(room, true)
	case 4:
		must(m.t, c.sock.Unpin(room))
		c.leave(room, true)
	case 5:
		must(m.t, c.sock.Disconnect())
		m.kicked(c)
	}
}

func (m *modelServer) kicked(clients ...*modelClient) {
	synctest.Wait()
	for _, c := range clients {
		c.session = false
		if c.connected {
			c.get(m, len(c.due))
			c.Want("41")
			c.Abort()
			c.connected = false
			synctest.Wait()
		}
	}
}

// get reads that many events that are due.
func (c *modelClient) get(m *modelServer, n int) {
	for ; n > 0 && c.read < len(c.due); n-- {
		c.event(m.t, c.Next())
		c.mustHave(m, c.due[c.read])
		c.read++
	}
}

// mustHave fails unless the last event that came was that of a number.
func (c *modelClient) mustHave(m *modelServer, number int) {
	m.t.Helper()
	if c.offset != m.log.offsets[number] {
		m.t.Fatalf("%s got the event at %s, want that at %s", c.id, c.offset, m.log.offsets[number])
	}
}

// comeBack has a client connect again, which may lie about what it has got.
func (m *modelServer) comeBack(c *modelClient) {
	said := slices.Index(m.log.offsets, c.offset)
	if lie := m.choose(3); lie == 0 || said < 0 {
		said = m.choose(len(m.log.offsets))
	}
	c.offset = m.log.offsets[said]
	from := max(c.from, said)
	recovers := c.session && (c.tried < 0 || from > c.tried)
	was := c.id
	missed := c.connect(m.t, m.d.WebSocket(m.t))
	c.connected = true
	synctest.Wait() // for OnConnect
	c.sock = m.sockets[c.id]
	if recovers != (c.id == was) || recovers != c.sock.Recovered() {
		m.t.Fatalf("recovered: %v, want %v; from %d, tried %d", c.sock.Recovered(), recovers, from, c.tried)
	}
	if !recovers {
		m.begins(c)
		if len(missed) > 0 {
			m.t.Fatalf("a new session missed %q", missed)
		}
		return
	}
	c.due = slices.DeleteFunc(c.due, func(number int) bool { return number <= from })
	c.read, c.from, c.tried = len(c.due), from, -1
	if len(c.due) > 0 {
		c.tried = from
	}
	if len(missed) != len(c.due) {
		m.t.Fatalf("missed %q, want %d events", missed, len(c.due))
	}
	if len(missed) > 0 {
		c.mustHave(m, c.due[len(c.due)-1])
	}
	if got, want := slices.Sorted(slices.Values(append(c.sock.Rooms()[1:], c.sock.Pinned()...))), sortedKeys(c.rooms); !slices.Equal(got, want) {
		m.t.Fatalf("back in rooms %q, want %q", got, want)
	}
	for _, room := range c.sock.Pinned() {
		if !c.rooms[room] {
			m.t.Fatalf("pinned to %q", room)
		}
	}
}

func sortedKeys(rooms map[string]bool) (names []string) {
	for name := range rooms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// begins has the model know of a new session.
func (m *modelServer) begins(c *modelClient) {
	c.session, c.rooms, c.due, c.read, c.tried = true, map[string]bool{}, nil, 0, -1
	c.from = len(m.log.offsets) - 1
}

// runModel does what the input says.
func runModel(t *testing.T, input []byte) {
	t.Helper()
	log := &notedLog{Log: adapter.NewMemoryLog(adapter.MemoryLogOptions{})}
	log.offsets = []string{log.End()}
	opts := &sio.Options{
		Logger:                  slog.New(slog.DiscardHandler),
		ConnectionStateRecovery: &sio.Recovery{Log: func(string) adapter.Log { return log }},
	}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		m := &modelServer{t: t, srv: srv, d: d, log: log, sockets: map[string]*sio.Socket{}, input: input}
		srv.OnConnect(func(c *sio.Ctx) error { m.sockets[c.ID()] = c.Socket; return nil })
		for range 3 {
			c := new(modelClient)
			c.connect(t, d.WebSocket(t))
			synctest.Wait()
			c.sock, c.connected = m.sockets[c.id], true
			m.begins(c)
			m.clients = append(m.clients, c)
		}
		for len(m.input) > 0 {
			m.step()
		}
		for _, c := range m.clients {
			if c.connected {
				c.get(m, len(c.due))
			}
		}
	})
}

func TestRecoveryAgreesWithAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		input := make([]byte, 400)
		for i := range input {
			input[i] = byte(rnd.Uint32())
		}
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); runModel(t, input) }) {
			return
		}
	}
}

func FuzzRecovery(f *testing.F) {
	f.Add([]byte(strings.Repeat("recovery", 20)))
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 2000 {
			t.Skip("too long to be worth it")
		}
		runModel(t, input)
	})
}
