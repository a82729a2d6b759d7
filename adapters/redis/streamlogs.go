package redisadapter

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
	"github.com/sioplug/sioplug/core/adapter"
)

// An entryID is the id of an entry of a stream: milliseconds and a sequence number.
type entryID = sharedlog.Place

// A StreamsCluster is a cluster over streams. It is a [cluster.Cluster] that keeps the data
// of connection state recovery in Redis, if the server has recovery: see
// [adapter.LogProvider].
type StreamsCluster struct {
	*cluster.Cluster

	logs *streamLogs
}

// NewLog implements [adapter.LogProvider].
func (c *StreamsCluster) NewLog(namespace string, keep time.Duration) adapter.Log {
	return c.logs.open(namespace, keep)
}

// Join implements [adapter.Cluster].
func (c *StreamsCluster) Join(namespace string, node adapter.Node) adapter.Adapter {
	return c.logs.Joined(namespace, c.Cluster.Join(namespace, node))
}

// A streamLog is the [adapter.Log] of a namespace over a stream.
type streamLog struct {
	*sharedlog.Log

	logs      *streamLogs
	namespace string
	order     *sharedlog.Order
	keep      time.Duration
}

// streamLogs are the logs of all namespaces of a server, and the streams that they read.
type streamLogs struct {
	sharedlog.Logs

	client      redis.UniversalClient
	streamOf    func(namespace string) string
	keyPrefix   string
	maxSessions int

	mu     sync.Mutex
	orders map[string]*sharedlog.Order // by stream
	saved  []savedSession              // in the order of saving
}

// A savedSession is one that this server has saved.
type savedSession struct {
	key   string
	until time.Time
}

func newStreamLogs(client redis.UniversalClient, streamOf func(namespace string) string, keyPrefix string, maxSessions int) *streamLogs {
	return &streamLogs{
		client: client, streamOf: streamOf, keyPrefix: keyPrefix, maxSessions: maxSessions,
		orders: make(map[string]*sharedlog.Order),
	}
}

func (l *streamLogs) sessionKey(pid string) string { return l.keyPrefix + pid }

// order returns the order of a stream.
func (l *streamLogs) order(stream string) *sharedlog.Order {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.orders[stream]
	if o == nil {
		o = &sharedlog.Order{}
		l.orders[stream] = o
	}
	return o
}

func (l *streamLogs) open(namespace string, keep time.Duration) *streamLog {
	o := l.order(l.streamOf(namespace))
	return &streamLog{l.Open(namespace, o), l, namespace, o, keep}
}

// sending is told what an entry will have, before it is added to the stream.
func (l *streamLogs) sending(p *cluster.Packet, kind, data string) {
	if log := l.Log(p.Namespace); log != nil && p.Message != nil {
		log.Sending(p.Message, sharedlog.ContentOf(kind, data))
	}
}

// read takes the next entry of a stream, and waits until it has been passed on. pass passes
// a packet of another server on.
func (l *streamLogs) read(stream, self string, e *streamEntry, in cluster.Inbound) {
	log := l.Log(e.namespace)
	own := e.from == self
	var p *cluster.Packet
	if !own {
		var err error
		if p, err = e.decode(); err != nil {
			in.Refused(err)
		}
	}
	l.order(stream).Pass(e.id, func() {
		switch {
		case own && log != nil:
			log.ReadOwn(e.id, sharedlog.ContentOf(e.kind, e.data))
		case p == nil:
		case log != nil && p.Message != nil && p.RequestID == "" && sharedlog.InLog(p.Message):
			log.ReadForeign(e.id, p.Message, func() { in.Receive(p) })
		default:
			in.Receive(p)
		}
	})
}
