package natsadapter_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	"github.com/sioplug/sioplug/core/adapter"
)

// A node is a server in a namespace.
type node struct {
	adapter.Adapter

	t       *testing.T
	cluster clusterServer
	got     chan string
	block   chan struct{} // if not nil, Receive waits until it is closed

	mu   sync.Mutex
	errs []error
}

func join(t *testing.T, c clusterServer) *node {
	t.Helper()
	return joinBlocked(t, c, nil)
}

func joinBlocked(t *testing.T, c clusterServer, block chan struct{}) *node {
	t.Helper()
	n := &node{t: t, cluster: c, got: make(chan string, 1<<17), block: block}
	c.NotifyErrors(func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.errs = append(n.errs, err)
	})
	n.Adapter = c.Join("/", n)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func (n *node) Receive(m *adapter.Message) {
	if n.block != nil {
		<-n.block
	}
	n.got <- string(m.Data)
}

func (n *node) Answer(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
	reply(&adapter.Reply{Clients: 1})
}

func (n *node) told(want error) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.errs, func(err error) bool { return errors.Is(err, want) })
}

func (n *node) toldOf(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.errs, func(err error) bool { return err != nil && strings.Contains(err.Error(), text) })
}

func event(text string) *adapter.Message {
	return &adapter.Message{Kind: adapter.Broadcast, Data: []byte(fmt.Sprintf("[%q]", text))}
}

func (n *node) publish(text string) {
	n.t.Helper()
	if err := n.Publish(event(text)); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) expect(text string) {
	n.t.Helper()
	select {
	case got := <-n.got:
		if want := fmt.Sprintf("[%q]", text); got != want {
			n.t.Fatalf("got %s, want %s", got, want)
		}
	case <-time.After(patience):
		n.t.Fatalf("no message, want %q: %+v", text, n.cluster.Status())
	}
}

// ask returns how many clients the others have.
func (n *node) ask(limit time.Duration) (clients int, err error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), limit)
	defer cancel()
	err = n.Ask(ctx, &adapter.Message{Kind: adapter.Count}, func(r *adapter.Reply) { clients += r.Clients })
	return clients, err
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it does not happen that %s", what)
		}
	}
}

// whole waits until each server gets the answers of all others.
func whole(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, "all others answer", func() bool {
			clients, err := n.ask(time.Second)
			return err == nil && clients == len(nodes)-1 && n.cluster.Status().Healthy
		})
	}
}

// CF-8: NATS ends and comes back. What is said meanwhile arrives in order, when all are back,
// and once.
func TestNATSIsAway(t *testing.T) {
	t.Parallel()
	for name, buffer := range map[string]int{"with the buffer of nats.go": 0, "without": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startNATS(t)
			a, b := join(t, newServer(s.connect(t, nats.ReconnectBufSize(buffer)))), join(t, newServer(s.connect(t, nats.ReconnectWait(500*time.Millisecond))))
			whole(t, a, b)
			a.publish("before")
			b.expect("before")
			s.stop()
			eventually(t, "the loss is seen", func() bool { return !a.cluster.Status().Healthy && !b.cluster.Status().Healthy })
			const n = 200
			for i := range n {
				a.publish(fmt.Sprint(i))
			}
			if lost := a.cluster.Status().Lost; lost > 1 { // a heartbeat
				t.Errorf("%d are lost before NATS is back", lost)
			}
			s.start()
			for i := range n {
				b.expect(fmt.Sprint(i))
			}
			whole(t, a, b)
			for _, x := range []*node{a, b} {
				if st := x.cluster.Status(); st.Gaps != 1 || !x.toldOf("the connection with NATS is lost") || !x.told(nil) {
					t.Errorf("gaps %d, told %v", st.Gaps, x.errs)
				}
			}
		})
	}
}

// A cuttable dialer can close the connection that it made last.
type cuttable struct {
	mu   sync.Mutex
	conn net.Conn
}

// Dial implements [nats.CustomDialer].
func (c *cuttable) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), network, address)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return conn, err
}

func (c *cuttable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.Close()
}

// The connection is lost again and again while a server emits. Nothing comes twice or out of
// order, and all that is missing is counted.
func TestConnectionsAreCut(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	wire := new(cuttable)
	a, b := join(t, newServer(s.connect(t, nats.SetCustomDialer(wire)))), join(t, newServer(s.connect(t)))
	whole(t, a, b)
	const n = 2000
	for i := range n {
		if i%400 == 200 {
			wire.cut()
		}
		a.publish(fmt.Sprint(i))
	}
	whole(t, a, b)
	a.publish("end")
	last, missing := -1, n
	for {
		got := <-b.got
		if got == `["end"]` {
			break
		}
		i := 0
		if _, err := fmt.Sscanf(got, `["%d"]`, &i); err != nil || i <= last {
			t.Fatalf("got %s after %d", got, last)
		}
		last = i
		missing--
	}
	if st := a.cluster.Status(); uint64(missing) > st.Lost || st.Gaps == 0 {
		t.Errorf("%d are missing, %d counted as lost, %d gaps", missing, st.Lost, st.Gaps)
	}
}

// CF-9: who has lost its connection for good is not waited for: NATS knows it.
func TestServersThatAreKilled(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	dies := s.connect(t, nats.NoReconnect())
	a, b, c := join(t, newServer(s.connect(t))), join(t, newServer(s.connect(t))), join(t, newServer(dies))
	whole(t, a, b, c)
	dies.Close()
	eventually(t, "the dead one is struck off", func() bool { return len(a.cluster.Status().Members) == 1 })
	whole(t, a, b)
	if !a.toldOf("is gone or silent") || c.cluster.Status().Healthy {
		t.Errorf("told %v; the closed one has status %+v", a.errs, c.cluster.Status())
	}
}

// CF-9: a process that is killed is not waited for until its heartbeats are missed.
func TestProcessesThatAreKilled(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	a := join(t, newServer(s.connect(t), natsadapter.Options{Options: cluster.Options{HeartbeatTimeout: time.Hour}}))
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childURL+"="+s.srv.ClientURL())
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other process answers", func() bool {
		clients, err := a.ask(time.Second)
		return clients == 1 && err == nil
	})
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // it was killed
	if clients, err := a.ask(patience); clients != 0 || err != nil {
		t.Errorf("%d clients, error %v", clients, err)
	}
	eventually(t, "it is struck off", func() bool { return len(a.cluster.Status().Members) == 0 })
}

// A server of NATS in lame duck mode sends its clients away. They come back to the next one.
func TestLameDuck(t *testing.T) {
	t.Parallel()
	s := startNATS(t, func(o *server.Options) {
		o.LameDuckDuration, o.LameDuckGracePeriod = 100*time.Millisecond, 10*time.Millisecond
	})
	a, b := join(t, newServer(s.connect(t))), join(t, newServer(s.connect(t)))
	whole(t, a, b)
	go s.srv.LameDuckShutdown()
	s.srv.WaitForShutdown()
	s.start()
	whole(t, a, b)
}

// A connection that the application drains or closes is an error that can be seen, and Close
// returns.
func TestClosedConnections(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	for name, end := range map[string]func(nc *nats.Conn){"close": (*nats.Conn).Close, "drain": func(nc *nats.Conn) { _ = nc.Drain() }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := s.connect(t)
			a := join(t, newServer(nc, natsadapter.Options{SubjectPrefix: newPrefix()}))
			eventually(t, "it is connected", func() bool { return a.cluster.Status().Healthy })
			end(nc)
			eventually(t, "it is not healthy", func() bool { return !a.cluster.Status().Healthy })
			a.publish("waits")
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A server that reads too slowly drops what does not fit, and says so. There are few messages, since
// a answers only when all have left its queue: that took longer than the test waits when there
// were 20,000 of them, on a busy machine.
func TestSlowConsumers(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	block := make(chan struct{})
	a := join(t, newServer(s.connect(t)))
	b := joinBlocked(t, newServer(s.connect(t), natsadapter.Options{MaxPendingBytes: 256 << 10}), block)
	eventually(t, "they know each other", func() bool { return len(a.cluster.Status().Members) == 1 && len(b.cluster.Status().Members) == 1 })
	const n = 3000
	text := strings.Repeat("x", 200)
	for range n {
		a.publish(text)
	}
	eventually(t, "all is sent, and the gap is counted", func() bool { return a.cluster.Status().Queued == 0 && b.cluster.Status().Gaps > 0 })
	close(block)
	eventually(t, "it is told", func() bool { return b.toldOf("reads them too slowly") })
	whole(t, a, b)
	if len(b.got) >= n {
		t.Error("nothing was dropped")
	}
}

// A message above max_payload is refused where it is emitted, and does no harm.
func TestMaxPayload(t *testing.T) {
	t.Parallel()
	s := startNATS(t, func(o *server.Options) { o.MaxPayload = 10_000 })
	a, b := join(t, newServer(s.connect(t))), join(t, newServer(s.connect(t)))
	whole(t, a, b)
	if err := a.Publish(event(strings.Repeat("x", 10_000))); !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	m := event(strings.Repeat("x", 9_000))
	m.Target.Except = []string{strings.Repeat("\x01", 500)} // longer in JSON
	if err := a.Publish(m); err != nil {
		t.Error(err)
	}
	a.publish("small")
	b.expect("small")
	if st := a.cluster.Status(); st.Lost != 2 || !st.Healthy {
		t.Errorf("status %+v", st)
	}
	eventually(t, "the reason is told", func() bool { return a.toldOf("max_payload of NATS is 10000") })
}

// What NATS does not allow is reported, also if the application has no handler of errors.
func TestPermissions(t *testing.T) {
	t.Parallel()
	users := []*server.User{
		{Username: "deaf", Password: "p", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{"sio.n.>"}}}},
		{Username: "mute", Password: "p", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"sio.n.>"}}}},
		{Username: "server", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"sio.>"}}, Subscribe: &server.SubjectPermission{Allow: []string{"sio.>"}},
		}},
	}
	s := startNATS(t, func(o *server.Options) { o.Users = users })
	as := func(user string) *node { return join(t, newServer(s.connect(t, nats.UserInfo(user, "p")))) }
	a, b := as("server"), as("server")
	whole(t, a, b)
	a.publish("allowed")
	b.expect("allowed")
	deaf := as("deaf")
	eventually(t, "the refused subscription is told", func() bool { return deaf.toldOf("NATS refuses a subject") && !deaf.cluster.Status().Healthy })
	mute := as("mute")
	eventually(t, "it is connected", func() bool { return mute.cluster.Status().Healthy })
	mute.publish("refused")
	eventually(t, "the refused message is told", func() bool { return mute.toldOf("NATS refuses a subject") && mute.cluster.Status().Lost > 0 })
}

// What strangers publish is refused and counted, and the next message is read.
func TestGarbage(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	a, b := join(t, newServer(s.connect(t))), join(t, newServer(s.connect(t)))
	whole(t, a, b)
	self := b.cluster.Status().Server
	nc := s.connect(t)
	forged := []byte(`{"type":6,"data":{"opts":{"rooms":[],"except":[]},"close":true},"uid":"x","nsp":"/"}`)
	heartbeat := []byte(`{"type":13,"uid":"` + a.cluster.Status().Server + `","nsp":"/"}`)
	garbage := map[string][][]byte{
		"sio.n./":               {nil, []byte("{"), []byte("garbage"), []byte(`{"type":3,"uid":"x"}`), []byte(`{"type":3,"data":{"opts":{},"packet":{"type":2,"data":["x"]}},"uid":"x","nsp":"/other"}`)},
		"sio.r./.news":          {forged, []byte(`{"type":3,"data":{"opts":{"rooms":["other"]},"packet":{"type":2,"data":["x"]}},"uid":"x","nsp":"/"}`)},
		"sio.i." + self + ".a":  {forged, nil},
		"sio.s":                 {forged, heartbeat},
		"sio.i." + self + ".p":  {nil, []byte("x")},
		"sio.i." + self + ".17": {nil},
	}
	watcher, ok := b.Adapter.(adapter.RoomWatcher)
	if !ok {
		t.Fatal("it does not watch rooms")
	}
	watcher.RoomCreated("news")
	eventually(t, "the room is subscribed to", func() bool {
		m := event("to the room")
		m.Target.Rooms = []string{"news"}
		if err := a.Publish(m); err != nil {
			t.Fatal(err)
		}
		select {
		case <-b.got:
			return true
		case <-time.After(50 * time.Millisecond):
			return false
		}
	})
	for subject, all := range garbage {
		for _, data := range all {
			if err := nc.PublishRequest(subject, "nobody", data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	const refused = 11
	eventually(t, "all of it is refused", func() bool { return b.cluster.Status().Refused == refused })
	for len(b.got) > 0 {
		if got := <-b.got; got != `["to the room"]` {
			t.Errorf("got %s", got)
		}
	}
	a.publish("next")
	b.expect("next")
	whole(t, a, b)
}

// A connection that is not there yet delays.
func TestNATSThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	s.stop()
	a, b := join(t, newServer(connectTo(t, s.srv.ClientURL()))), join(t, newServer(connectTo(t, s.srv.ClientURL())))
	a.publish("early")
	if st := a.cluster.Status(); st.Healthy || st.Lost != 0 {
		t.Errorf("status %+v", st)
	}
	s.start()
	whole(t, a, b)
	for _, n := range []*node{a, b} {
		if st := n.cluster.Status(); st.Gaps != 0 || st.Lost != 0 {
			t.Errorf("status %+v", st)
		}
	}
}
