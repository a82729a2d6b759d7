package natsadapter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A broker is one server's part of a cluster over NATS. All its subscriptions pass messages to
// one channel, in the order in which nats.go reads them from the connection. So the messages
// of one server stay in order although their subjects are different.
//
// Every call of nats.go may wait for the network, if the connection hangs. So each is made by
// a goroutine of which nothing else is expected meanwhile.
type broker struct {
	subjects

	nc   *nats.Conn
	self string
	in   cluster.Inbound
	sent sender // of the publishing goroutine

	js       *jetStream // nil without
	pending  *pending
	probes   probes
	maxBytes atomic.Int64 // max_payload of the server of NATS; 0 if that is not known

	stop    context.CancelFunc
	ctx     context.Context //nolint:containedctx // ends with Close
	readers sync.WaitGroup  // goroutines that do not call nats.go
	callers sync.WaitGroup  // those that do
	calling sync.RWMutex    // held for reading while callers call in

	mu     sync.Mutex
	spaces map[string]*space   // by namespace
	names  map[string]string   // of the namespaces, by their tokens
	wanted map[string]struct{} // subjects
	dirty  map[string]struct{} // subjects that may have to be subscribed to, or not any more
	all    bool                // dirty has become too large, so all subjects are to be compared
	joined map[string]struct{} // namespaces whose subscription has to be confirmed
	wake   chan struct{}       // has an element if there is something to do
	up     chan struct{}       // closed while the subscriptions are in effect; replaced
	isUp   bool
}

// A space is a namespace that this server is in.
type space struct {
	token    string
	subjects map[string]struct{} // that it subscribes to
}

const (
	// checkInterval is how often the state of the connection is looked at, although
	// nobody has said that it has changed.
	checkInterval = time.Second

	// maxDirty is how many subjects more than the wanted ones may be dirty.
	maxDirty = 1024

	// closeTimeout is how long Close waits for a connection that hangs. Later, goroutines
	// end when nats.go lets them.
	closeTimeout = 2 * time.Second
)

func newBroker(nc *nats.Conn, s subjects, maxPending int) *broker {
	b := &broker{
		subjects: s, nc: nc, pending: newPending(maxPending), sent: sender{nc: nc, subjects: s},
		spaces: make(map[string]*space), names: make(map[string]string), dirty: make(map[string]struct{}), wanted: make(map[string]struct{}),
		joined: make(map[string]struct{}),
		wake:   make(chan struct{}, 1), up: make(chan struct{}),
	}
	b.probes.init()
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// Start implements [cluster.Broker].
func (b *broker) Start(self string, in cluster.Inbound) {
	b.self, b.in = self, in
	b.readers.Go(func() { b.pending.collect(b.ctx) })
	b.readers.Go(b.deliver)
	b.callers.Go(b.run)
	b.callers.Go(b.sendProbes)
	if b.js != nil {
		b.js.start()
	}
}

// Subscribe implements [cluster.Broker].
func (b *broker) Subscribe(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &space{token: token(namespace), subjects: make(map[string]struct{})}
	b.spaces[namespace], b.names[s.token] = s, namespace
	b.joined[namespace] = struct{}{}
	b.addToLocked(s, b.namespace(namespace))
}

// Unsubscribe implements [cluster.Broker].
func (b *broker) Unsubscribe(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.spaces[namespace]; s != nil {
		delete(b.spaces, namespace)
		delete(b.names, s.token)
		delete(b.joined, namespace)
		for subject := range s.subjects {
			b.removeLocked(subject)
		}
	}
}

// WatchesRooms implements [cluster.RoomSubscriber].
func (b *broker) WatchesRooms() bool { return b.mode != Static }

// RoomCreated implements [cluster.RoomSubscriber].
func (b *broker) RoomCreated(namespace, room string) {
	if !b.hasSubject(room) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.spaces[namespace]; s != nil {
		b.addToLocked(s, b.room(namespace, room))
	}
}

// RoomDeleted implements [cluster.RoomSubscriber].
func (b *broker) RoomDeleted(namespace, room string) {
	if !b.hasSubject(room) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.spaces[namespace]; s != nil {
		subject := b.room(namespace, room)
		delete(s.subjects, subject)
		b.removeLocked(subject)
	}
}

func (b *broker) addToLocked(s *space, subject string) {
	s.subjects[subject] = struct{}{}
	b.addLocked(subject)
}

func (b *broker) addLocked(subject string) {
	b.wanted[subject] = struct{}{}
	b.noteLocked(subject)
}

func (b *broker) removeLocked(subject string) {
	delete(b.wanted, subject)
	b.noteLocked(subject)
}

// noteLocked notes that a subject may have to be subscribed to, or not any more. While NATS is
// away, rooms come and go: beyond some subjects, all are compared later.
func (b *broker) noteLocked(subject string) {
	if !b.all {
		b.dirty[subject] = struct{}{}
	}
	if len(b.dirty) > len(b.wanted)+maxDirty {
		b.all, b.dirty = true, make(map[string]struct{})
	}
	b.poke()
}

func (b *broker) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// MaxBytes implements [cluster.Limiter].
func (b *broker) MaxBytes() int { return int(b.maxBytes.Load()) }

// Publish implements [cluster.Broker]. Nothing is published while this server does not
// receive: the answers would be lost. So nothing comes into the buffer that nats.go has for
// the time of a reconnection, unless the connection is lost in this moment.
func (b *broker) Publish(ctx context.Context, packets []*cluster.Packet) (taken, lost int, err error) {
	if err := b.awaitUp(ctx); err != nil {
		return 0, 0, err
	}
	if b.js != nil {
		taken, lost, err = b.js.send(ctx, packets)
	} else {
		taken, lost, err = b.sent.send(ctx, packets)
	}
	if err != nil {
		b.poke()
	}
	return taken, lost, err
}

func (b *broker) awaitUp(ctx context.Context) error {
	b.mu.Lock()
	up := b.up
	b.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// setUp notes whether the subscriptions are in effect. It reports whether that is new.
func (b *broker) setUp(up bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if up == b.isUp {
		return false
	}
	if b.isUp = up; up {
		close(b.up)
	} else {
		b.up = make(chan struct{})
	}
	return true
}

// Close implements [cluster.Broker]. It does not close the connection.
func (b *broker) Close() error {
	b.stop()
	b.calling.Lock()   // those that call in do not do so any more
	b.calling.Unlock() //nolint:staticcheck // ctx has ended
	b.readers.Wait()
	if b.js != nil {
		b.js.closed()
	}
	ended := make(chan struct{})
	go func() { // ends with the callers
		b.callers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closeTimeout):
	}
	return nil
}

// call calls in, unless the broker is closed.
func (b *broker) call(f func()) {
	b.calling.RLock()
	defer b.calling.RUnlock()
	if b.ctx.Err() == nil {
		f()
	}
}

var _ interface {
	cluster.Broker
	cluster.RoomSubscriber
	cluster.Limiter
	cluster.Prober
} = (*broker)(nil)
