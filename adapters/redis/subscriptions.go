package redisadapter

import (
	"context"
	"sync"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
)

const (
	// topologyInterval is how often subscriptions are compared with the owners of their
	// slots, troubleInterval the same while a server cannot be reached.
	topologyInterval = 5 * time.Second
	troubleInterval  = 500 * time.Millisecond
)

// A subscriptions holds what a broker is subscribed to: sets of topics, one for each
// namespace, and single rooms. On a Redis Cluster, each topic of kind shard is subscribed to
// at the master that has its slot, over one connection with each master. It implements
// [linkOwner].
type subscriptions struct {
	nodes   *nodes
	in      cluster.Inbound
	deliver func(t target, channel, payload []byte)

	notices notices

	ctx   context.Context //nolint:containedctx // ends with close
	stop  context.CancelFunc
	ended chan struct{}
	wake  chan struct{}

	mu     sync.Mutex
	topics map[topic]*subscription
	hashes map[uint32]*subscription // topics by the hash of their names
	queue  map[topic]struct{}       // those topics that may have to be moved to another link
	groups map[string]*group
	links  map[string]*link
	failed map[string]error // links that are down, or have never been up
	lost   int              // subscriptions that were confirmed and are not any more, on links that are up
	state  state
	ready  chan struct{} // closed while state is connected; replaced
}

// A state says whether messages arrive.
type state uint8

const (
	starting     state = iota
	connected          // all subscriptions of all links are in effect
	failedAtOnce       // the first attempt has failed
	disconnected
)

// A subscription is a topic and the link it is subscribed to over.
type subscription struct {
	target    target
	group     *group // of its namespace
	counts    bool   // the group waits for it; false for a room
	slot      uint16
	hash      uint32
	link      *link // nil until the server is known
	confirmed bool
	at        time.Time // when it was confirmed
	lost      bool      // was confirmed, and counts in subscriptions.lost
}

// A group is the topics of a namespace.
type group struct {
	namespace string
	topics    map[topic]*subscription
	missing   int // topics that are not confirmed, rooms apart
}

func newSubscriptions(n *nodes, in cluster.Inbound, deliver func(target, []byte, []byte)) *subscriptions {
	ctx, stop := context.WithCancel(context.Background())
	s := &subscriptions{
		nodes: n, in: in, deliver: deliver, ctx: ctx, stop: stop, ended: make(chan struct{}), wake: make(chan struct{}, 1),
		topics: make(map[topic]*subscription), queue: make(map[topic]struct{}), hashes: make(map[uint32]*subscription),
		groups: make(map[string]*group), links: make(map[string]*link),
		failed: make(map[string]error), ready: make(chan struct{}),
	}
	go s.run() // ends with close
	return s
}

// addGroup subscribes to the topics of a namespace. When all have taken effect, it is told
// to the cluster, unless the namespace is "".
func (s *subscriptions) addGroup(namespace string, topics map[topic]target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &group{namespace: namespace, topics: make(map[topic]*subscription), missing: len(topics)}
	s.groups[namespace] = g
	for t, to := range topics {
		s.addLocked(t, &subscription{target: to, group: g, counts: true})
	}
}

// add subscribes to the topic of a room. Its namespace has been added.
func (s *subscriptions) add(t topic, to target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[to.namespace]
	if g != nil && s.topics[t] == nil { // the name may be that of another namespace, too
		s.addLocked(t, &subscription{target: to, group: g})
	}
}

func (s *subscriptions) addLocked(t topic, sub *subscription) {
	if old := s.topics[t]; old != nil {
		s.forgetLocked(t, old)
	}
	sub.hash = hashOf(t.name)
	s.topics[t], sub.group.topics[t], s.hashes[sub.hash] = sub, sub, sub
	if s.nodes.cluster == nil {
		s.placeLocked(t, sub, "")
		return
	}
	sub.slot = slotOf(t.name)
	s.queueLocked(t)
}

func (s *subscriptions) queueLocked(t topic) {
	s.queue[t] = struct{}{}
	s.wakeLocked()
}

// wakeLocked has run look what there is to do.
func (s *subscriptions) wakeLocked() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// placeLocked subscribes over the link with a server, and no more over another one.
func (s *subscriptions) placeLocked(t topic, sub *subscription, addr string) {
	l := s.links[addr]
	if l == nil {
		l = newLink(s.ctx, s.nodes, addr, s)
		s.links[addr] = l
		s.failed[addr] = nil
	}
	if sub.link != nil && sub.link != l {
		sub.link.remove(t)
		s.unconfirmLocked(sub)
	}
	sub.link = l
	l.add(t, sub.target)
}

// removeGroup ends the subscription to a namespace.
func (s *subscriptions) removeGroup(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[namespace]; g != nil {
		delete(s.groups, namespace)
		for t, sub := range g.topics {
			s.forgetLocked(t, sub)
		}
		s.wakeLocked()
	}
}

// remove ends the subscription to a room.
func (s *subscriptions) remove(t topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub := s.topics[t]; sub != nil && !sub.counts {
		s.forgetLocked(t, sub)
		if sub.lost {
			s.wakeLocked()
		}
	}
}

func (s *subscriptions) forgetLocked(t topic, sub *subscription) {
	if sub.link != nil {
		sub.link.remove(t)
	}
	s.foundLocked(sub)
	delete(s.topics, t)
	delete(s.queue, t)
	delete(s.hashes, sub.hash)
	delete(sub.group.topics, t)
}

// unconfirmLocked notes that a subscription is not in effect any more.
func (s *subscriptions) unconfirmLocked(sub *subscription) {
	if !sub.confirmed {
		return
	}
	sub.confirmed = false
	if sub.counts {
		sub.group.missing++
	}
	if !sub.lost {
		sub.lost = true
		s.lost++
	}
}

// foundLocked notes that a subscription is in effect again, or is wanted no more.
func (s *subscriptions) foundLocked(sub *subscription) {
	if sub.lost {
		sub.lost = false
		s.lost--
	}
}

// close ends all subscriptions.
func (s *subscriptions) close() {
	s.stop()
	<-s.ended
}

// run moves topics to the servers that have their slots.
func (s *subscriptions) run() {
	defer close(s.ended)
	defer s.closeLinks()
	for s.ctx.Err() == nil {
		interval := topologyInterval
		if s.nodes.cluster != nil && s.place() {
			interval = troubleInterval
		}
		s.tidy()
		timer := time.NewTimer(interval)
		select {
		case <-s.ctx.Done():
		case <-s.wake:
		case <-timer.C:
			if s.nodes.cluster != nil {
				s.queueAll()
			}
		}
		timer.Stop()
	}
}

func (s *subscriptions) closeLinks() {
	s.mu.Lock()
	links := s.links
	s.links = make(map[string]*link)
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, l := range links {
		all.Go(l.close) // ends within quitTimeout
	}
	all.Wait()
}

func (s *subscriptions) queueAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.topics {
		s.queue[t] = struct{}{}
	}
}

// place finds the servers of the queued topics. It reports whether there is trouble, so
// that it has to be called soon again.
func (s *subscriptions) place() (trouble bool) {
	s.mu.Lock()
	queue := s.queue
	s.queue = make(map[topic]struct{})
	s.mu.Unlock()
	owners := make(map[uint16]string)
	for t := range queue {
		addr, err := s.serverOf(t, owners)
		if err != nil {
			s.fail("", err)
			s.putBack(queue)
			return true
		}
		s.mu.Lock()
		if sub := s.topics[t]; sub != nil && (sub.link == nil || sub.link.addr != addr) {
			s.placeLocked(t, sub, addr)
		}
		s.mu.Unlock()
		delete(queue, t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.failed, "") // the masters are known
	return s.state != connected
}

// putBack queues topics again, except those that were removed meanwhile. So there are never
// more in the queue than there are topics.
func (s *subscriptions) putBack(queue map[topic]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range queue {
		if s.topics[t] != nil {
			s.queue[t] = struct{}{}
		}
	}
}

// serverOf returns the server to subscribe to a topic at. owners are those found already,
// by slot.
func (s *subscriptions) serverOf(t topic, owners map[uint16]string) (string, error) {
	if t.kind != shard {
		return s.nodes.one(s.ctx)
	}
	s.mu.Lock()
	sub := s.topics[t]
	s.mu.Unlock()
	if sub == nil {
		return "", nil // removed meanwhile
	}
	if addr, ok := owners[sub.slot]; ok {
		return addr, nil
	}
	addr, err := s.nodes.owner(s.ctx, t.name)
	if err == nil {
		owners[sub.slot] = addr
	}
	return addr, err
}

// tidy closes links without topics.
func (s *subscriptions) tidy() {
	s.mu.Lock()
	used := make(map[*link]bool, len(s.links))
	for _, sub := range s.topics {
		used[sub.link] = true
	}
	var unused []*link
	for addr, l := range s.links {
		if !used[l] {
			unused = append(unused, l)
			delete(s.links, addr)
			delete(s.failed, addr)
		}
	}
	s.evaluateLocked()
	s.mu.Unlock()
	s.notices.flush()
	for _, l := range unused {
		l.close()
	}
}
