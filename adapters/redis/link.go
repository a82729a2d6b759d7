package redisadapter

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = time.Second

	// pingsPerTimeout is how often a silent Redis is asked before it is given up.
	pingsPerTimeout = 3

	quitTimeout = time.Second

	// maxWaiting is how many commands are sent before Redis has replied to the first.
	maxWaiting = 8192
)

// A topicKind is the kind of a subscription.
type topicKind uint8

const (
	channel topicKind = iota
	pattern
	shard
)

func (k topicKind) subscribe() string { return [...]string{"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"}[k] }

func (k topicKind) unsubscribe() string {
	return [...]string{"UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"}[k]
}

// A topic is what one subscribes to.
type topic struct {
	kind topicKind
	name string // of a channel, or a pattern
}

// A target is what a topic is for. The brokers give it meaning.
type target struct {
	namespace string
	role      role
}

type role uint8

// A link is a connection for subscriptions, which is opened again when it has failed. Its
// methods add and remove only note the wish.
type link struct {
	nodes *nodes
	addr  string
	owner linkOwner
	stop  context.CancelFunc
	ended chan struct{}
	wake  chan struct{}

	mu      sync.Mutex
	entries map[topic]*entry   // what is wanted, and what Redis may still know
	dirty   map[topic]struct{} // entries with a wish that Redis may not know
	waiting []request          // commands without a reply, in order
	initial map[topic]struct{} // subscriptions that a new connection waits for; nil afterwards

	received atomic.Bool // something was received since the last tick
}

// An entry is a subscription as a link knows it.
type entry struct {
	target      target
	wanted      bool
	sent        bool // the last command was to subscribe
	outstanding int  // commands without a reply
}

// A request is a command to subscribe or to unsubscribe.
type request struct {
	topic     topic
	subscribe bool
}

// A linkOwner is told what happens to a link, by one goroutine at a time.
type linkOwner interface { //nolint:interfacebloat // what can happen to one link
	message(t target, channel, payload []byte)
	refused(err error)
	confirmed(l *link, t topic)
	moved(l *link, t topic, err error) bool // reports false if that is another error
	gone(l *link, t topic)                  // Redis has ended the subscription
	up(l *link)
	down(l *link, err error)
}

// newLink returns a link that connects from now on, until close is called.
func newLink(ctx context.Context, n *nodes, addr string, owner linkOwner) *link {
	ctx, stop := context.WithCancel(ctx)
	l := &link{
		nodes: n, addr: addr, owner: owner, stop: stop,
		ended: make(chan struct{}), wake: make(chan struct{}, 1),
		entries: make(map[topic]*entry), dirty: make(map[topic]struct{}),
	}
	go l.run(ctx) // ends with close
	return l
}

// add subscribes to a topic.
func (l *link) add(t topic, to target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[t]
	if e == nil {
		e = &entry{}
		l.entries[t] = e
	}
	e.target, e.wanted = to, true
	l.noteLocked(t)
}

// remove ends the subscription to a topic. One that Redis was not told of is forgotten, so that
// topics that come and go without a connection take no memory.
func (l *link) remove(t topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[t]
	switch {
	case e == nil:
	case e.sent || e.outstanding > 0:
		e.wanted = false
		l.noteLocked(t)
	default:
		delete(l.entries, t)
		delete(l.dirty, t)
		delete(l.initial, t)
		l.wakeLocked() // this may have been the last that a new connection waits for
	}
}

func (l *link) noteLocked(t topic) {
	l.dirty[t] = struct{}{}
	l.wakeLocked()
}

// wakeLocked has keep look what there is to do.
func (l *link) wakeLocked() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close ends the link and waits for it.
func (l *link) close() {
	l.stop()
	<-l.ended
}

func (l *link) run(ctx context.Context) {
	defer close(l.ended)
	b := backoff{}
	for ctx.Err() == nil {
		c, err := l.nodes.dial(ctx, l.addr)
		if err == nil {
			if l.session(ctx, c, &err); ctx.Err() != nil {
				return
			}
			if l.isInitialised() {
				b = backoff{}
			}
		}
		if ctx.Err() != nil {
			return
		}
		l.owner.down(l, err)
		l.nodes.failed(ctx, l.addr)
		if b.wait(ctx) != nil {
			return
		}
	}
}

func (l *link) isInitialised() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.initial == nil
}

// session subscribes over a new connection, until that fails or ctx ends.
func (l *link) session(ctx context.Context, c *conn, why *error) {
	if l.reset() {
		l.owner.up(l)
	}
	failed := make(chan error, 1)
	go func() { failed <- l.read(c) }() // ends with the connection, below
	err := l.keep(ctx, c, failed)
	if ctx.Err() != nil {
		l.quit(c, failed)
	}
	_ = c.Close()
	if e := <-failed; err == nil {
		err = e
	}
	l.forget()
	*why = err
}

// forget forgets what a connection knew that has ended.
func (l *link) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty, l.waiting = make(map[topic]struct{}), nil
	for t, e := range l.entries {
		if !e.wanted {
			delete(l.entries, t)
			continue
		}
		e.sent, e.outstanding = false, 0
	}
}

// reset has all that is wanted subscribed to over a new connection. It reports whether there is
// nothing to wait for.
func (l *link) reset() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.initial = make(map[topic]struct{}, len(l.entries))
	for t := range l.entries {
		l.initial[t] = struct{}{}
		l.noteLocked(t)
	}
	if len(l.initial) == 0 {
		l.initial = nil
	}
	return l.initial == nil
}

// keep writes the commands, until the connection fails or ctx ends.
func (l *link) keep(ctx context.Context, c *conn, failed chan error) error {
	tick := time.NewTicker(max(c.timeout/pingsPerTimeout, time.Millisecond))
	defer tick.Stop()
	stop := context.AfterFunc(ctx, func() { _ = c.SetWriteDeadline(time.Now().Add(quitTimeout)) })
	defer stop()
	var buffer []byte
	for silent := 0; ; {
		var known []topic
		var initialised bool
		buffer, known, initialised = l.commands(buffer[:0])
		for _, t := range known {
			l.owner.confirmed(l, t)
		}
		if initialised {
			l.owner.up(l)
		}
		if _, err := c.write(buffer); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			failed <- err
			return err
		case <-l.wake:
		case <-tick.C:
			if silent++; l.received.Swap(false) {
				silent = 0
			}
			if silent > pingsPerTimeout {
				return errSilent
			}
			if _, err := c.write(appendCommand(buffer[:0], "PING")); err != nil {
				return err
			}
		}
	}
}

// commands appends the commands by which Redis gets to know the wishes, but not too many at
// once. It returns also the topics that were removed and added again, for which no command is
// necessary, and whether all that a new connection waited for was removed.
func (l *link) commands(dst []byte) (out []byte, known []topic, initialised bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.initial != nil && len(l.initial) == 0 {
		l.initial, initialised = nil, true
	}
	if len(l.dirty) == 0 {
		return dst, nil, initialised
	}
	for t := range l.dirty {
		if len(l.waiting) >= maxWaiting { // the replies wake
			return dst, known, initialised
		}
		delete(l.dirty, t)
		e := l.entries[t]
		switch {
		case e == nil:
			continue
		case e.wanted != e.sent: // below
		case e.outstanding > 0: // the reply counts
			continue
		case e.wanted:
			known = append(known, t)
			continue
		default:
			delete(l.entries, t)
			continue
		}
		e.sent = e.wanted
		e.outstanding++
		l.waiting = append(l.waiting, request{t, e.wanted})
		name := t.kind.unsubscribe()
		if e.wanted {
			name = t.kind.subscribe()
		}
		dst = appendCommand(dst, name, t.name)
	}
	l.dirty = make(map[topic]struct{}) // the old one may be large
	return dst, known, initialised
}

// quit ends all subscriptions and the connection in an orderly way: Redis closes it. If it
// were closed here with unread input, Redis would see a reset, and maybe none of the commands.
func (l *link) quit(c *conn, failed chan error) {
	l.mu.Lock()
	var out []byte
	for t, e := range l.entries {
		if e.sent {
			out = appendCommand(out, t.kind.unsubscribe(), t.name)
		}
	}
	l.mu.Unlock()
	if c.SetDeadline(time.Now().Add(quitTimeout)) != nil {
		return
	}
	if _, err := c.Write(appendCommand(out, "QUIT")); err == nil {
		failed <- <-failed // after the deadline at the latest
	}
}

// A backoff is how long to wait before the next attempt.
type backoff struct{ last time.Duration }

func (b *backoff) wait(ctx context.Context) error {
	b.last = min(max(2*b.last, minBackoff), maxBackoff)
	return pause(ctx, b.last/2+rand.N(b.last/2+1)) //nolint:gosec // jitter is no secret
}

var errMoved = errors.New("redisadapter: a slot of the Redis Cluster has moved")
