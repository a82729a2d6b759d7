package cluster

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// A presence knows which servers of this module are in the cluster, and in which
// namespaces. They tell each other in heartbeats. Official servers are only counted: see
// officials.
type presence struct {
	link *link

	mu        sync.Mutex
	own       map[string]struct{} // the namespaces that the broker has subscribed to
	version   uint64              // of own
	others    map[string]*peer    // by id
	officials officials
	prefixes  map[string]string // ids of others by the prefixes of their location
	heard     time.Time         // when this server heard its own heartbeat the last time
	beaten    time.Time         // when the oldest heartbeat was sent that it has not heard; zero if there is none
}

// A peer is another server of this module.
type peer struct {
	name       string
	seen       time.Time
	version    uint64
	namespaces map[string]struct{}
	complete   bool      // namespaces are those of version
	collecting bool      // more of them will come
	introduced bool      // it has said who it is; the last messages of a server can come after its end
	asked      time.Time // when it was asked for all namespaces the last time

	// Its location; "" and nil if it has not announced one.
	prefix, address string
	gone            chan struct{}
}

const (
	// maxPeers bounds the memory for other servers.
	maxPeers = 10_000

	// maxNames is how many namespaces one heartbeat has, maxNameBytes how long their names
	// are together. Some brokers take no more than a megabyte.
	maxNames     = 1000
	maxNameBytes = 128 << 10

	// root is the namespace that no server leaves before it ends.
	root = "/"
)

func newPresence(l *link) *presence {
	p := &presence{
		link: l, own: make(map[string]struct{}), others: make(map[string]*peer), prefixes: make(map[string]string), heard: time.Now(),
	}
	_, p.officials.expected = l.broker.(HeartbeatBroker)
	p.officials.seen = make(map[string]map[string]time.Time)
	return p
}

// joined tells the others that this server is in a namespace now.
func (p *presence) joined(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.own[name]; known {
		return
	}
	p.own[name] = struct{}{}
	p.version++
	p.sendLocked(Heartbeat, "", Presence{Joined: name})
	p.tellOfficialsLocked(InitialHeartbeat, name)
}

// hasJoined reports whether the broker has subscribed to a namespace.
func (p *presence) hasJoined(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, joined := p.own[name]
	return joined
}

// left tells the others that this server has left a namespace.
func (p *presence) left(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.own[name]; !known {
		return
	}
	p.tellOfficialsLocked(AdapterClose, name)
	delete(p.own, name)
	p.version++
	p.sendLocked(Heartbeat, "", Presence{Left: name})
}

// announce tells the others everything, and makes them tell everything.
func (p *presence) announce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resetLocked()
	p.sendAllLocked(InitialHeartbeat, "")
	p.announceToOfficialsLocked()
}

// beat sends a heartbeat, unless the last ones have not come back yet.
func (p *presence) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.beaten.IsZero() || time.Since(p.beaten) > p.link.cluster.opts.HeartbeatTimeout {
		p.sendLocked(Heartbeat, "", Presence{})
		p.beatForOfficialsLocked()
	}
}

func (p *presence) sendAllLocked(t Type, to string) {
	names := slices.Sorted(maps.Keys(p.own))
	for first := true; first || len(names) > 0; first = false {
		n, size := 0, 0
		for n < min(maxNames, len(names)) && (n == 0 || size+len(names[n]) <= maxNameBytes) {
			size += len(names[n])
			n++
		}
		part := names[:n]
		names = names[n:]
		p.sendLocked(t, to, Presence{All: true, More: len(names) > 0, Namespaces: part})
		t = Heartbeat
	}
}

// sendLocked sends a heartbeat. In that order the changes have their versions.
func (p *presence) sendLocked(t Type, to string, what Presence) {
	what.Name, what.Version = p.link.cluster.opts.Name, p.version
	p.link.cluster.addLocation(&what)
	_ = p.link.send(&Packet{Type: t, From: p.link.self, To: to, Presence: &what}) // what is lost is counted
	if p.beaten.IsZero() {
		p.beaten = time.Now()
	}
}

// heardMyself notes that the broker passes on what this server says. After it has not for a
// while, the others get time to be heard as well.
func (p *presence) heardMyself() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.heard) > p.link.cluster.opts.HeartbeatInterval+2*checkInterval {
		p.resetLocked()
	}
	p.heard, p.beaten = time.Now(), time.Time{}
}

// resetLocked gives all others the time of a heartbeat's timeout.
func (p *presence) resetLocked() {
	for _, o := range p.others {
		o.seen = time.Now()
	}
	p.resetOfficialsLocked()
	p.heard, p.beaten = time.Now(), time.Time{}
}

// deaf reports whether this server has not heard its own heartbeats for too long.
func (p *presence) deaf() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.beaten.IsZero() && time.Since(p.beaten) > p.link.cluster.opts.HeartbeatInterval
}

// heardFrom notes that a server is there, and in a namespace if it is not "". The server may
// not have said so yet.
func (p *presence) heardFrom(id, namespace string) {
	if !IsOurs(id) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.others[id]
	if o == nil {
		if namespace == "" || len(p.others) >= maxPeers {
			return
		}
		o = &peer{namespaces: make(map[string]struct{})}
		p.others[id] = o
		p.askLocked(id, o)
	}
	o.seen = time.Now()
	if namespace != "" {
		o.namespaces[namespace] = struct{}{}
	}
}

// askLocked asks a server for all its namespaces.
func (p *presence) askLocked(id string, o *peer) {
	o.complete = false
	if time.Since(o.asked) > checkInterval {
		o.asked = time.Now()
		_ = p.link.send(&Packet{Type: Resync, From: p.link.self, To: id})
	}
}

// receive takes a packet without a namespace.
func (p *presence) receive(packet *Packet) {
	if !IsOurs(packet.From) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch t := packet.Type; {
	case t == AdapterClose:
		p.removeLocked(packet.From)
	case t == Resync && packet.To == p.link.self:
		p.sendAllLocked(Heartbeat, packet.From)
	case (t == InitialHeartbeat || t == Heartbeat) && packet.Presence != nil:
		p.updateLocked(packet.From, packet.Presence)
		if t == InitialHeartbeat {
			p.sendAllLocked(Heartbeat, packet.From)
		}
	}
}

// updateLocked takes what a server says about itself. If something is missing, the server
// is asked for all of it.
func (p *presence) updateLocked(id string, said *Presence) {
	o := p.others[id]
	if o == nil {
		if len(p.others) >= maxPeers {
			return
		}
		o = &peer{namespaces: make(map[string]struct{})}
		p.others[id] = o
	}
	o.name, o.seen, o.introduced = said.Name, time.Now(), true
	p.setLocationLocked(id, o, said)
	next := o.complete && !o.collecting && said.Version == o.version+1
	switch {
	case said.All:
		if !o.collecting && said.Version > 0 { // it may send to a namespace before it has joined one
			clear(o.namespaces)
		}
		for _, name := range said.Namespaces {
			o.namespaces[name] = struct{}{}
		}
		o.version, o.collecting, o.complete = said.Version, said.More, !said.More
	case said.Joined != "" && next:
		o.namespaces[said.Joined] = struct{}{}
		o.version++
	case said.Left != "" && next:
		delete(o.namespaces, said.Left)
		o.version++
		p.link.wakeRequests(said.Left)
	case o.complete && said.Version == o.version:
	default:
		p.askLocked(id, o)
	}
}

func (p *presence) removeLocked(id string) {
	o := p.others[id]
	if o == nil {
		return
	}
	delete(p.others, id)
	p.removeLocationLocked(id, o)
	p.link.forget(id)
}

// in returns the ids of the servers that are in a namespace.
func (p *presence) in(namespace string) map[string]struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := make(map[string]struct{})
	for id, o := range p.others {
		if _, in := o.namespaces[namespace]; in {
			found[id] = struct{}{}
		}
	}
	return found
}

// isIn reports whether a server is in a namespace.
func (p *presence) isIn(id, namespace string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.others[id]
	if o == nil {
		return false
	}
	_, in := o.namespaces[namespace]
	return in
}

func (p *presence) list() []adapter.Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]adapter.Member, 0, len(p.others))
	for id, o := range p.others {
		all = append(all, adapter.Member{ID: id, Name: o.name, LastSeen: o.seen})
	}
	slices.SortFunc(all, func(a, b adapter.Member) int { return cmp.Compare(a.ID, b.ID) })
	return all
}
