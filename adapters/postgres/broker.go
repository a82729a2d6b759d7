package postgresadapter

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A broker is one server's part of a cluster over PostgreSQL. One connection listens, and reads
// the table. Another one publishes. Both belong to one goroutine each.
type broker struct {
	channels

	pool  *pgxpool.Pool
	table table
	opts  Options
	self  string
	in    cluster.Inbound

	pending *pending
	sent    sender        // of the publishing goroutine
	doubt   atomic.Bool   // the publishing connection may be broken
	pid     atomic.Uint32 // of its session

	stop    context.CancelFunc
	ctx     context.Context //nolint:containedctx // ends with Close
	running sync.WaitGroup

	mu        sync.Mutex
	spaces    map[string]string   // names of namespaces by channel
	listening map[string]struct{} // channels of namespaces that the connection listens to
	dirty     map[string]struct{} // channels that may have to be listened to, or not any more
	all       bool                // dirty has become too large, so all channels are to be compared
	joined    map[string]struct{} // namespaces whose subscription has to be confirmed
	interrupt context.CancelFunc  // ends the wait for a notification
	up        chan struct{}       // closed while this server listens; replaced
	isUp      bool
}

const (
	// pingInterval is after how much silence the listening connection is tested.
	pingInterval = 5 * time.Second

	// idleTime is how long the publishing connection can be idle before it is tested.
	idleTime = time.Second

	// minPause and maxPause are how long the broker waits before it connects again.
	minPause = 100 * time.Millisecond
	maxPause = time.Second

	// closeTimeout is how long the end of a connection may take.
	closeTimeout = 2 * time.Second

	// maxDirty is how many channels more than those of the namespaces may be dirty.
	maxDirty = 1024
)

func newBroker(pool *pgxpool.Pool, c channels, t table, o Options) *broker {
	b := &broker{
		channels: c, pool: pool, table: t, opts: o, pending: newPending(o.MaxPendingBytes),
		spaces: make(map[string]string), dirty: make(map[string]struct{}), joined: make(map[string]struct{}), up: make(chan struct{}),
	}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// Start implements [cluster.Broker].
func (b *broker) Start(self string, in cluster.Inbound) {
	b.self, b.in = self, in
	b.running.Go(b.listen)
	b.running.Go(b.deliver)
	b.running.Go(b.cleanUp)
}

// Subscribe implements [cluster.Broker].
func (b *broker) Subscribe(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	channel := b.namespace(namespace)
	b.spaces[channel] = namespace
	b.joined[namespace] = struct{}{}
	b.changeLocked(channel)
}

// Unsubscribe implements [cluster.Broker].
func (b *broker) Unsubscribe(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	channel := b.namespace(namespace)
	delete(b.spaces, channel)
	delete(b.joined, namespace)
	b.changeLocked(channel)
}

// changeLocked notes that a channel may have to be listened to, or not any more. While PostgreSQL is
// away, namespaces come and go: beyond some channels, all are compared later.
func (b *broker) changeLocked(channel string) {
	if !b.all {
		b.dirty[channel] = struct{}{}
	}
	if len(b.dirty) > len(b.spaces)+maxDirty {
		b.all, b.dirty = true, make(map[string]struct{})
	}
	if b.interrupt != nil {
		b.interrupt()
	}
}

// OfficialHeartbeats implements [cluster.HeartbeatBroker].
func (b *broker) OfficialHeartbeats() {}

// MaxBytes implements [cluster.Limiter]. A message that has it is received, if little else waits.
func (b *broker) MaxBytes() int { return b.opts.MaxPendingBytes / 2 }

// Publish implements [cluster.Broker]. Nothing is published while this server does not listen:
// the answers would be lost.
func (b *broker) Publish(ctx context.Context, packets []*cluster.Packet) (taken, lost int, err error) {
	if err := b.awaitUp(ctx); err != nil {
		return 0, 0, err
	}
	if err := b.preparePublishing(ctx); err != nil {
		return 0, 0, err
	}
	return b.publish(ctx, packets)
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

// setUp notes whether this server listens.
func (b *broker) setUp(up bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if up == b.isUp {
		return
	}
	if b.isUp = up; up {
		close(b.up)
	} else {
		b.up = make(chan struct{})
	}
}

// Close implements [cluster.Broker]. It does not close the pool.
func (b *broker) Close() error {
	b.stop()
	b.running.Go(func() { b.sent.close(b.ctx) }) // if PostgreSQL hangs, both connections take their time
	b.running.Wait()
	return nil
}

// sleep waits for a while, or until the broker is closed.
func (b *broker) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.ctx.Done():
	}
}

var _ interface {
	cluster.Broker
	cluster.HeartbeatBroker
	cluster.Limiter
	cluster.Prober
} = (*broker)(nil)
