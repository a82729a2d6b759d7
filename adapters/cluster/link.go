package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A link is a server's connection with the cluster, from the first namespace that it joins
// until it leaves the last one. It implements [Inbound].
type link struct {
	cluster  *Cluster
	self     string // this server's id
	broker   Broker
	queue    *queue
	presence *presence
	health   health

	began          time.Time
	returning      atomic.Bool  // the broker was lost, and others may not be connected with it yet
	disturbedUntil atomic.Int64 // since it began, in nanoseconds: until then they are not taken for gone

	connected chan struct{} // has an element if the broker has connected since the link waited for that

	ctx     context.Context //nolint:containedctx // ends with the link
	cancel  context.CancelFunc
	running sync.WaitGroup // goroutines of the link
}

const (
	// maxBatch is how many packets the broker gets at once.
	maxBatch = 64

	// minPause and maxPause are about how long the link waits after an error of the broker.
	// maxPause is short: a request that is forwarded over the broker waits no longer than
	// RelayTimeout.
	minPause = 100 * time.Millisecond
	maxPause = time.Second

	// drainTimeout is how long a server that leaves waits until the broker has its last
	// packets.
	drainTimeout = 2 * time.Second

	// maxWait is how long packets wait, after the broker was lost and answers again, until other
	// servers are connected with it.
	maxWait = 5 * time.Second

	// checkInterval is how often the link looks for what has not happened.
	checkInterval = time.Second
)

func newLink(c *Cluster) *link {
	l := &link{cluster: c, began: time.Now(), self: newID(), broker: c.newBroker(), queue: newQueue(c.opts.MaxQueueBytes, c.opts.DropOldest), connected: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.presence = newPresence(l)
	l.health.begin()
	return l
}

func (l *link) start() {
	l.broker.Start(l.self, l)
	l.running.Go(l.publish)
	l.running.Go(l.watch)
}

// close sends what the queue has, says goodbye and ends the link.
func (l *link) close() {
	_ = l.send(&Packet{Type: AdapterClose, From: l.self})
	l.queue.close()
	if l.health.sends() {
		select {
		case <-l.queue.empty:
		case <-time.After(drainTimeout):
		}
	}
	l.cancel()
	l.running.Wait()
	l.lost(l.queue.drop())
	if err := l.broker.Close(); err != nil {
		l.cluster.report(fmt.Errorf("cluster: closing the connection: %w", err))
	}
}

// send puts a packet into the queue.
func (l *link) send(p *Packet) error {
	if limiter, ok := l.broker.(Limiter); ok {
		if limit := limiter.MaxBytes(); limit > 0 && p.size() > limit {
			err := fmt.Errorf("%w: it has %d bytes, and the limit is %d", ErrTooLarge, p.size(), limit)
			l.health.noteReason(err)
			l.lost(1)
			return err
		}
	}
	dropped, err := l.queue.add(p)
	if err != nil && l.ctx.Err() == nil {
		dropped++
	}
	l.lost(dropped)
	return err
}

// lost counts packets of this server that others do not get, or may not get.
func (l *link) lost(n int) {
	if n > 0 {
		l.cluster.counters.lost.Add(uint64(n))
		l.health.noteLost(n)
	}
}

// publish passes the packets of the queue to the broker.
func (l *link) publish() {
	pause := minPause
	for {
		batch := l.queue.take(maxBatch, l.ctx.Done())
		if batch == nil {
			return
		}
		for len(batch) > 0 && l.ctx.Err() == nil {
			l.awaitOthers()
			if batch = l.withoutLate(batch); len(batch) == 0 || l.ctx.Err() != nil {
				break
			}
			taken, lost, err := l.publishBatch(batch)
			if taken+lost > 0 && errors.Is(err, ErrTooLarge) {
				l.health.noteReason(err)
				err = nil
			}
			l.cluster.counters.sent.Add(uint64(taken)) //nolint:gosec // not negative
			l.lost(lost)
			l.queue.done(batch[:taken+lost])
			batch = batch[taken+lost:]
			l.setPublishing(err)
			if err == nil {
				pause = minPause
				continue
			}
			if l.sleepUntilConnected(pause) {
				pause = minPause
			} else {
				pause = min(2*pause, maxPause)
			}
		}
		l.lost(len(batch)) // the link ends
		l.queue.done(batch)
	}
}

// withoutLate takes the packets out of a batch that nobody waits for any more.
func (l *link) withoutLate(batch []*Packet) []*Packet {
	return slices.DeleteFunc(batch, func(p *Packet) bool {
		if p.Type != Relayed || !l.queue.isLate(p) {
			return false
		}
		l.queue.done([]*Packet{p})
		return true
	})
}

// publishBatch calls the broker and checks what it says. A broker that panics has lost the
// first packet.
func (l *link) publishBatch(batch []*Packet) (taken, lost int, err error) {
	err = rescue.Call(func() (err error) {
		taken, lost, err = l.broker.Publish(l.ctx, batch)
		return err
	})
	if rescue.Broken(err) {
		return 0, 1, err
	}
	taken = min(max(taken, 0), len(batch))
	lost = min(max(lost, 0), len(batch)-taken)
	if err == nil && taken+lost == 0 {
		err = fmt.Errorf("cluster: %T took none of %d packets", l.broker, len(batch))
	}
	return taken, lost, err
}

// sleep waits for about d, or until the link ends.
func (l *link) sleep(d time.Duration) {
	t := time.NewTimer(d/2 + rand.N(d)) //nolint:gosec // servers should not come back at the same time
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ctx.Done():
	}
}

// sleepUntilConnected waits for about d, or only for about minPause more when the broker says that it
// is connected, and reports whether it has.
func (l *link) sleepUntilConnected(d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d)) //nolint:gosec // servers should not come back at the same time
	defer t.Stop()
	select {
	case <-l.connected:
		l.sleep(minPause)
		return true
	case <-t.C:
	case <-l.ctx.Done():
	}
	return false
}

// watch sends heartbeats, strikes off servers that are silent, and reports what was lost.
func (l *link) watch() {
	heartbeat := time.NewTicker(l.cluster.opts.HeartbeatInterval)
	defer heartbeat.Stop()
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	for {
		select {
		case <-heartbeat.C:
			l.presence.beat()
		case <-check.C:
			l.presence.strikeOff()
			l.presence.probe(l.ctx)
			l.checkHealth()
		case <-l.ctx.Done():
			return
		}
	}
}

// awaitOthers waits, after the broker was lost, until the others are connected with it again:
// otherwise they would miss what waits in the queue. The time until the broker answers does not
// count, however long it is away.
func (l *link) awaitOthers() {
	if !l.returning.Load() {
		return
	}
	const pause = 50 * time.Millisecond
	for answered := time.Now(); l.ctx.Err() == nil && time.Since(answered) < maxWait; l.sleep(pause) {
		receives := l.health.receives()
		back, answers := l.presence.back(l.ctx)
		if receives && back {
			break
		}
		if !receives && !answers {
			answered = time.Now()
		}
	}
	l.returning.Store(false)
}

// Receive implements [Inbound].
func (l *link) Receive(p *Packet) {
	if l.ctx.Err() != nil {
		return
	}
	if p.From == l.self {
		if p.Type == Heartbeat || p.Type == InitialHeartbeat {
			l.presence.heardMyself()
		}
		return
	}
	l.cluster.counters.received.Add(1)
	if isForOfficials(p) {
		return
	}
	l.presence.heardFrom(p.From, p.Namespace)
	l.presence.heardOfficial(p)
	if p.Type == Relayed {
		l.receiveRelayed(p)
		return
	}
	if p.Namespace == "" {
		l.presence.receive(p)
		return
	}
	n := l.cluster.namespace(l, p.Namespace)
	switch {
	case n == nil:
	case p.Type.IsResponse():
		n.receiveResponse(p)
	case p.Type == Cancel:
		n.cancelAnswer(answerKey{p.From, p.RequestID})
	default:
		n.receive(p)
	}
}

// Refused implements [Inbound].
func (l *link) Refused(err error) {
	l.cluster.counters.refused.Add(1)
	l.health.noteRefused(err)
}

// Subscribed implements [Inbound].
func (l *link) Subscribed(name string) {
	l.cluster.mu.RLock()
	defer l.cluster.mu.RUnlock()
	if n := l.cluster.spaces[name]; n != nil && n.link == l {
		l.presence.joined(name)
	}
}

// Connected implements [Inbound].
func (l *link) Connected(missed bool) {
	if missed {
		l.cluster.counters.gaps.Add(1)
	}
	if l.disturbed() {
		l.disturbedUntil.Store(int64(time.Since(l.began) + maxWait))
	}
	l.presence.announce()
	l.setReceiving(nil, missed)
	l.checkRelayLimit()
	select {
	case l.connected <- struct{}{}:
	default:
	}
}

// Missed implements [Inbound].
func (l *link) Missed(err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.cluster.counters.gaps.Add(1)
	l.presence.announce()
	l.cluster.report(err)
}

// Degraded implements [Inbound].
func (l *link) Degraded(err error) {
	if l.ctx.Err() != nil {
		return
	}
	if tell, now := l.health.change(func() { l.health.degraded = err }); tell {
		l.cluster.report(now)
	}
}

// disturbed reports whether the broker is lost, or has just come back.
func (l *link) disturbed() bool { return int64(time.Since(l.began)) < l.disturbedUntil.Load() }

// Disconnected implements [Inbound].
func (l *link) Disconnected(err error) {
	l.returning.Store(true)
	l.disturbedUntil.Store(math.MaxInt64)
	l.setReceiving(err, false)
}

var _ interface {
	adapter.Cluster
	adapter.Reporter
	adapter.ErrorNotifier
} = (*Cluster)(nil)
