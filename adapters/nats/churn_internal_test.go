package natsadapter

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A told takes the calls of a broker.
type told struct{ cluster.Inbound }

func (told) Disconnected(error) {}
func (told) Connected(bool)     {}
func (told) Subscribed(string)  {}
func (told) Missed(error)       {}

// A network refuses connections, or hangs.
type network struct {
	refuses atomic.Bool
	passing sync.RWMutex // held for writing while it hangs
}

func (n *network) Dial(network, addr string) (net.Conn, error) {
	if n.refuses.Load() {
		return nil, errors.New("refused")
	}
	c, err := net.Dial(network, addr)
	return hanging{c, n}, err
}

type hanging struct {
	net.Conn

	network *network
}

func (c hanging) Write(b []byte) (int, error) {
	c.network.passing.RLock()
	defer c.network.passing.RUnlock()
	return c.Conn.Write(b)
}

// connectOver returns a connection with a server of NATS, over a network. Both end with the test.
func connectOver(t *testing.T, n *network) *nats.Conn {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(time.Minute) {
		t.Fatal("the server of NATS does not start")
	}
	closed := make(chan struct{})
	nc, err := nats.Connect(srv.ClientURL(), nats.SetCustomDialer(n), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(20*time.Millisecond), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		<-closed
	})
	return nc
}

// holds returns how many subjects a broker wants, how many may have to be subscribed to or not any
// more, and how many namespaces wait for a confirmation.
func (b *broker) holds() (wanted, dirty, joined int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.wanted), len(b.dirty), len(b.joined)
}

// Rooms and namespaces that came and went while NATS was away were kept until it was back.
func TestRoomsThatComeAndGoWithoutAConnectionAreNotKept(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(n *network) (end func()){
		"refuses": func(n *network) func() {
			n.refuses.Store(true)
			return func() { n.refuses.Store(false) }
		},
		"hangs": func(n *network) func() {
			n.passing.Lock()
			return n.passing.Unlock
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := new(network)
			if name == "refuses" {
				n.refuses.Store(true)
			}
			nc := connectOver(t, n)
			b := newBroker(nc, subjects{prefix: "sio", mode: Dynamic}, 1<<20)
			b.Start("me", told{})
			t.Cleanup(func() { _ = b.Close() })
			b.Subscribe("/")
			end := trouble(n)
			const names, live = 100_000, 50
			for i := range names {
				b.RoomCreated("/", fmt.Sprint("room", i))
				b.Subscribe(fmt.Sprint("/space", i))
				if i >= live {
					b.RoomDeleted("/", fmt.Sprint("room", i-live))
					b.Unsubscribe(fmt.Sprint("/space", i-live))
				}
				wanted, dirty, joined := b.holds()
				if wanted > 3+2*(live+1) || dirty > wanted+maxDirty || joined > 1+live+1 {
					end()
					t.Fatalf("after %d names, %d subjects are wanted, %d dirty, %d namespaces have joined", i, wanted, dirty, joined)
				}
			}
			end()
			const all = 3 + 2*live // the servers, the inbox, the namespace "/", and those of the loop
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
				b.mu.Lock()
				up := b.isUp
				b.mu.Unlock()
				wanted, dirty, joined := b.holds()
				if up && nc.NumSubscriptions() == all && dirty+joined == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("up: %v, %d subscriptions, %d subjects are wanted, %d dirty, %d namespaces have joined", up, nc.NumSubscriptions(), wanted, dirty, joined)
				}
			}
		})
	}
}
