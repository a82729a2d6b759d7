package cluster

import "time"

// A HeartbeatBroker is a [Broker] whose official servers know each other by heartbeats in each
// namespace: an InitialHeartbeat when they join it, a Heartbeat in reply and from time to time,
// and an AdapterClose when they leave it. The cluster counts them by these, so there is no need
// for a [Counter]. It sends them such packets as well: in the namespaces that it has joined, the
// first and the last one, and the others while there are official servers.
type HeartbeatBroker interface{ OfficialHeartbeats() }

// officials are the official servers of the namespaces that have some.
type officials struct {
	expected bool                            // the broker is a HeartbeatBroker
	seen     map[string]map[string]time.Time // by namespace and id: when a packet came the last time
	total    int
}

// isForOfficials reports whether a packet is one that servers of this module send for official
// servers alone.
func isForOfficials(p *Packet) bool {
	return p.Namespace != "" && IsOurs(p.From) && (p.Type == InitialHeartbeat || p.Type == Heartbeat || p.Type == AdapterClose)
}

// heardOfficial takes what a packet says about an official server.
func (p *presence) heardOfficial(packet *Packet) {
	id, name := packet.From, packet.Namespace
	if !p.officials.expected || name == "" || id == "" || id == emitterID || IsOurs(id) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if packet.Type == AdapterClose {
		p.removeOfficialLocked(name, id)
		return
	}
	all := p.officials.seen[name]
	if _, known := all[id]; !known {
		if p.officials.total >= maxPeers {
			return
		}
		p.officials.total++
	}
	if all == nil {
		all = make(map[string]time.Time)
		p.officials.seen[name] = all
	}
	all[id] = time.Now()
	if packet.Type == InitialHeartbeat {
		p.tellOfficialsLocked(Heartbeat, name)
	}
}

func (p *presence) removeOfficialLocked(name, id string) {
	all := p.officials.seen[name]
	if _, known := all[id]; !known {
		return
	}
	p.officials.total--
	if delete(all, id); len(all) == 0 {
		delete(p.officials.seen, name)
	}
	p.link.wakeRequests(name)
}

// tellOfficialsLocked sends a packet for the official servers in a namespace, if this server is
// in it.
func (p *presence) tellOfficialsLocked(t Type, name string) {
	if _, joined := p.own[name]; joined && p.officials.expected {
		_ = p.link.send(&Packet{Type: t, From: p.link.self, Namespace: name}) // what is lost is counted
	}
}

// beatForOfficialsLocked sends a heartbeat to each namespace with official servers.
func (p *presence) beatForOfficialsLocked() {
	for name := range p.officials.seen {
		p.tellOfficialsLocked(Heartbeat, name)
	}
}

// announceToOfficialsLocked makes the official servers of all namespaces say that they are there.
func (p *presence) announceToOfficialsLocked() {
	for name := range p.own {
		p.tellOfficialsLocked(InitialHeartbeat, name)
	}
}

// strikeOffOfficialsLocked removes official servers that have been silent for too long.
func (p *presence) strikeOffOfficialsLocked() {
	for name, all := range p.officials.seen {
		for id, seen := range all {
			if time.Since(seen) > p.link.cluster.opts.HeartbeatTimeout {
				p.removeOfficialLocked(name, id)
			}
		}
	}
}

// resetOfficialsLocked gives all official servers the time of a heartbeat's timeout.
func (p *presence) resetOfficialsLocked() {
	for _, all := range p.officials.seen {
		for id := range all {
			all[id] = time.Now()
		}
	}
}

// officialsIn returns how many official servers are in a namespace.
func (p *presence) officialsIn(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.officials.seen[name])
}
