package natsadapter

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
	"github.com/sioplug/sioplug/core/adapter"
)

// A JetStreamCluster is a cluster over a stream of JetStream. It is a [cluster.Cluster] that
// keeps the data of connection state recovery in JetStream, if the server has recovery: see
// [adapter.LogProvider].
type JetStreamCluster struct {
	*cluster.Cluster

	logs *jetLogs
}

// NewLog implements [adapter.LogProvider].
func (c *JetStreamCluster) NewLog(namespace string, keep time.Duration) adapter.Log {
	c.logs.setKeep(keep)
	return &jetLog{c.logs.Open(namespace, &c.logs.order), c.logs, namespace}
}

// Join implements [adapter.Cluster].
func (c *JetStreamCluster) Join(namespace string, node adapter.Node) adapter.Adapter {
	return c.logs.Joined(namespace, c.Cluster.Join(namespace, node))
}

// jetLogs are the logs of all namespaces of a server.
type jetLogs struct {
	sharedlog.Logs

	order sharedlog.Order
	keep  atomic.Int64 // how long sessions can be claimed, in nanoseconds; 0 without recovery
	js    atomic.Pointer[jetStream]
}

// setKeep notes how long sessions are kept: the longest time of all namespaces.
func (l *jetLogs) setKeep(keep time.Duration) {
	for old := l.keep.Load(); old < int64(keep); old = l.keep.Load() {
		if l.keep.CompareAndSwap(old, int64(keep)) {
			return
		}
	}
}

// A jetStream is the part of a [broker] that has a stream. Messages, and requests too, are
// published to the subjects of the stream. JetStream stores them, and publishes them again for
// all servers, with their numbers. So all servers have them in one order. If one of them
// misses some, it gets them from the stream.
//
// While JetStream does not take messages, they are sent over core NATS, without a number: they
// are outside of the stream. Nobody can recover what is outside. So when the stream works
// again, a fence is put into it: nobody comes back across a fence.
type jetStream struct {
	*broker

	opts     JetStreamOptions
	logs     *jetLogs
	entries  *pending // what was published again, and messages outside of the stream
	requests requests

	sending sync.Mutex // held by the one who publishes messages, and changes direct
	direct  bool       // JetStream does not take messages

	check chan struct{} // has an element if the stream has to be looked at
	ready chan struct{} // closed when that was done for the first time

	recent     recentMessages
	reader     jetReader // of its goroutine
	maxCatchUp time.Duration

	mu       sync.Mutex
	usable   error                // why the stream cannot be used; nil if it can
	outside  bool                 // clients have messages that are outside of the stream
	fenced   uint64               // number of the last fence of this server
	needed   uint64               // number of the first one that ends outside
	fence    sharedlog.Place      // the last one, of any server
	senders  map[string]time.Time // servers that sent messages outside of the stream, and no fence since: when
	degraded bool                 // it was told
}

var (
	errNoStream = errors.New("natsadapter: JetStream cannot be used, so clients do not recover, and messages take core NATS")
	errNotYet   = errors.New("the stream was not looked at yet")
)

// errEarly is the error of Save while nobody can recover.
const errEarly = sharedlog.EarlyError("natsadapter: not kept, because messages to the client are not in the stream")

const (
	// pollInterval is how often a server looks whether the stream has what it has not got.
	pollInterval = 5 * time.Second

	// fenceInterval is how often JetStream is tried when it did not take messages.
	fenceInterval = time.Second

	// maxSenders bounds the memory for names of servers that messages say they are from.
	maxSenders = 1024

	// maxLate is how long after a message outside of the stream one of the same server may come
	// that counts as lost. Later ones do not: the fence of that server may have come before the
	// message outside, on another way.
	maxLate = 30 * time.Second
)

func newJetStream(nc *nats.Conn, s subjects, o JetStreamOptions, logs *jetLogs) *broker {
	b := newBroker(nc, s, o.MaxPendingBytes)
	b.js = &jetStream{
		broker: b, opts: o, logs: logs, entries: newPending(o.MaxPendingBytes), usable: errNotYet,
		check: make(chan struct{}, 1), ready: make(chan struct{}), senders: make(map[string]time.Time),
		maxCatchUp: maxCatchUp,
	}
	b.js.requests.init()
	return b
}

// start starts the goroutines. The broker waits for them.
func (j *jetStream) start() {
	j.logs.js.Store(j)
	j.pending.first = j.requests.take
	j.readers.Go(func() { j.entries.collect(j.ctx) })
	j.readers.Go(j.read)
	j.callers.Go(j.mend)
	j.callers.Go(j.sendRequests)
}

// closed is called when the goroutines have ended.
func (j *jetStream) closed() { j.logs.js.CompareAndSwap(j, nil) }

// pokeReader makes the reader look at the stream.
func (j *jetStream) pokeReader() {
	select {
	case j.check <- struct{}{}:
	default:
	}
}

// setUsable notes whether the stream can be used, after it was looked at.
func (j *jetStream) setUsable(err error) {
	j.mu.Lock()
	j.usable = err
	j.mu.Unlock()
	select {
	case <-j.ready:
	default:
		close(j.ready) // only the reader calls this
	}
	j.tell(err)
}

// tell tells the application that JetStream cannot be used, or can be again.
func (j *jetStream) tell(err error) {
	j.mu.Lock()
	if err == nil && (j.usable != nil || j.outside) {
		j.mu.Unlock()
		return
	}
	changed := j.degraded != (err != nil)
	j.degraded = err != nil
	j.mu.Unlock()
	if changed {
		j.call(func() { j.in.Degraded(err) })
	}
}

func (j *jetStream) usableErr() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.usable
}

// noteOutside notes that clients get a message that is outside of the stream.
func (j *jetStream) noteOutside(from string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.outside, j.needed = true, j.fenced+1
	if from == j.self {
		return
	}
	if len(j.senders) >= maxSenders {
		maps.DeleteFunc(j.senders, func(_ string, at time.Time) bool { return time.Since(at) >= maxLate })
	}
	if len(j.senders) < maxSenders {
		j.senders[from] = time.Now()
	}
}

// late reports whether a message in the stream counts as lost, because its server has sent later
// ones outside of it.
func (j *jetStream) late(from string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	at, ok := j.senders[from]
	return ok && time.Since(at) < maxLate
}

// recovers returns the last fence. ok is false while nobody can recover.
func (j *jetStream) recovers() (fence sharedlog.Place, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fence, j.usable == nil && !j.outside
}

// mend puts a fence into the stream when clients have messages that are outside of it, as soon
// as JetStream takes it.
func (j *jetStream) mend() {
	tick := time.NewTicker(fenceInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-j.ctx.Done():
			return
		}
		j.mu.Lock()
		outside, usable := j.outside, j.usable == nil
		j.mu.Unlock()
		switch {
		case !outside:
			continue
		case !usable:
			j.pokeReader()
			continue
		}
		if err := j.putFence(j.ctx); err != nil { // which shows that it works
			j.pokeReader() // perhaps there is no stream
			continue
		}
		j.sending.Lock() // after all messages of this server that are outside
		if j.direct && j.putFence(j.ctx) == nil {
			j.direct = false
		}
		j.sending.Unlock()
	}
}

// putFence puts a fence into the stream.
func (j *jetStream) putFence(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, j.opts.AckTimeout)
	defer cancel()
	j.mu.Lock()
	j.fenced++
	data := fence{From: j.self, Number: j.fenced}.append(nil)
	j.mu.Unlock()
	m, err := j.requests.do(ctx, j.self, &nats.Msg{Subject: j.stored(""), Data: data}, j.subjects)
	if err != nil {
		return err
	}
	return j.opts.ackError(m)
}

// passFence is called for each fence in the stream, by the order.
func (j *jetStream) passFence(at sharedlog.Place, f fence) {
	j.mu.Lock()
	if j.fence.Compare(at) < 0 {
		j.fence = at
	}
	delete(j.senders, f.From)
	if f.From == j.self && f.Number >= j.needed {
		j.outside = false
	}
	j.mu.Unlock()
	j.tell(nil)
}
