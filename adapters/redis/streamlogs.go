package redisadapter

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

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
	a := c.Cluster.Join(namespace, node)
	l := c.logs.log(namespace)
	if l == nil {
		return a
	}
	l.mu.Lock()
	l.adapter = a
	l.mu.Unlock()
	return &loggedAdapter{a, l}
}

// A loggedAdapter does not publish what the log has sent already.
type loggedAdapter struct {
	adapter.Adapter

	log *streamLog
}

// Publish implements [adapter.Adapter].
func (a *loggedAdapter) Publish(m *adapter.Message) error {
	a.log.mu.Lock()
	err, done := a.log.appended[m]
	delete(a.log.appended, m)
	a.log.mu.Unlock()
	if done {
		return err
	}
	return a.Adapter.Publish(m)
}

// streamLogs are the logs of all namespaces of a server, and the streams that they read.
type streamLogs struct {
	client      redis.UniversalClient
	streamOf    func(namespace string) string
	keyPrefix   string
	maxSessions int

	mu     sync.Mutex
	logs   map[string]*streamLog   // by namespace
	orders map[string]*streamOrder // by stream
	saved  []savedSession          // in the order of saving
}

// A savedSession is one that this server has saved.
type savedSession struct {
	key   string
	until time.Time
}

func newStreamLogs(client redis.UniversalClient, streamOf func(namespace string) string, keyPrefix string, maxSessions int) *streamLogs {
	return &streamLogs{
		client: client, streamOf: streamOf, keyPrefix: keyPrefix, maxSessions: maxSessions,
		logs: make(map[string]*streamLog), orders: make(map[string]*streamOrder),
	}
}

func (l *streamLogs) sessionKey(pid string) string { return l.keyPrefix + pid }

// order returns the order of a stream.
func (l *streamLogs) order(stream string) *streamOrder {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.orders[stream]
	if o == nil {
		o = &streamOrder{}
		l.orders[stream] = o
	}
	return o
}

func (l *streamLogs) open(namespace string, keep time.Duration) *streamLog {
	log := &streamLog{
		logs: l, namespace: namespace, order: l.order(l.streamOf(namespace)), keep: keep,
		appended: make(map[*adapter.Message]error), unsent: make(map[*adapter.Message]*ownMessage),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.logs[namespace] = log
	return log
}

// log returns the log of a namespace, nil if it has none.
func (l *streamLogs) log(namespace string) *streamLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logs[namespace]
}

func (l *streamLogs) remove(log *streamLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.logs[log.namespace] == log {
		delete(l.logs, log.namespace)
	}
}

// sending is told what an entry will have, before it is added to the stream.
func (l *streamLogs) sending(p *cluster.Packet, kind, data string) {
	if log := l.log(p.Namespace); log != nil && p.Message != nil {
		log.sending(p.Message, contentOf(kind, data))
	}
}

// read takes the next entry of a stream, and waits until it has been passed on. pass passes
// a packet of another server on.
func (l *streamLogs) read(stream, self string, e *streamEntry, in cluster.Inbound) {
	log := l.log(e.namespace)
	own := e.from == self
	var p *cluster.Packet
	if !own {
		var err error
		if p, err = e.decode(); err != nil {
			in.Refused(err)
		}
	}
	l.order(stream).pass(e.id, func() {
		switch {
		case own && log != nil:
			log.readOwn(e.id, contentOf(e.kind, e.data))
		case p == nil:
		case log != nil && p.Message != nil && p.RequestID == "" && inLog(p.Message):
			log.readForeign(e.id, p.Message, func() { in.Receive(p) })
		default:
			in.Receive(p)
		}
	})
}
