package cluster

import (
	"crypto/rand"
	"encoding/base64"
	"net"
	"sync"

	"github.com/sioplug/sioplug/internal/misuse"
)

// A Location is where another server of the cluster can be reached: see [Cluster.Announce] and
// [Cluster.OnRelay].
type Location struct {
	Server  string          // its id
	Address string          // host and port; "" if it is only reached by Relay
	Gone    <-chan struct{} // closed when the server is not a member of the cluster any more
}

// PrefixLength is the length of the prefix of a server: see [Cluster.Prefix].
const PrefixLength = 4

// maxAddress is how long the address of a server can be. It is more than a host name has.
const maxAddress = 300

// Announce makes this server tell the others that it can be reached at an address, a host
// and a port. Call it before the server is made.
func (c *Cluster) Announce(address string) {
	if !validAddress(address) {
		misuse.Panic("cluster: the address " + address + " has no host or no port: other servers cannot reach it")
	}
	c.own.mu.Lock()
	defer c.own.mu.Unlock()
	c.own.address = address
}

// Prefix returns four characters, of the URL-safe base64 alphabet, which stand for this
// server. It is random. If another server has the same one, which is very rare, one of the
// two gets another prefix, so the prefix can change.
func (c *Cluster) Prefix() string {
	_, prefix := c.own.get()
	return prefix
}

// Locate returns where another server can be reached, by its prefix. found is false if no member
// of the cluster has announced one.
func (c *Cluster) Locate(prefix string) (l Location, found bool) {
	c.mu.RLock()
	link := c.link
	c.mu.RUnlock()
	if link == nil {
		return Location{}, false
	}
	return link.presence.locate(prefix)
}

// LocateServer is [Cluster.Locate] by the id of the server.
func (c *Cluster) LocateServer(id string) (l Location, found bool) {
	c.mu.RLock()
	link := c.link
	c.mu.RUnlock()
	if link == nil {
		return Location{}, false
	}
	return link.presence.locateServer(id)
}

// ServerID returns the id of this server in the cluster, "" if it is in no namespace.
func (c *Cluster) ServerID() string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.link == nil {
		return ""
	}
	return c.link.self
}

// ownLocation is what this server says about itself.
type ownLocation struct {
	mu      sync.Mutex
	address string // "" if it was not announced
	prefix  string // "" until it is needed
}

func (o *ownLocation) get() (address, prefix string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.prefix == "" {
		o.prefix = newPrefix()
	}
	return o.address, o.prefix
}

// avoid chooses another prefix, if the server has this one. It reports whether it had.
func (o *ownLocation) avoid(prefix string) (changed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.prefix == prefix {
		o.prefix, changed = newPrefix(), true
	}
	return changed
}

func newPrefix() string {
	var b [PrefixLength * 6 / 8]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func validPrefix(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) == PrefixLength
}

func validAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	return err == nil && host != "" && port != "" && len(s) <= maxAddress
}

// addLocation adds the location of this server to what a heartbeat says.
func (c *Cluster) addLocation(s *Presence) {
	if address, prefix := c.own.get(); address != "" || c.relayed.Load() != nil {
		s.Address, s.Prefix = address, prefix
	}
}

// locate returns the location of the server with this prefix.
func (p *presence) locate(prefix string) (Location, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, found := p.prefixes[prefix]
	if !found {
		return Location{}, false
	}
	return p.locateServerLocked(id)
}

func (p *presence) locateServer(id string) (Location, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.locateServerLocked(id)
}

func (p *presence) locateServerLocked(id string) (Location, bool) {
	o := p.others[id]
	if o == nil || o.prefix == "" {
		return Location{}, false
	}
	return Location{Server: id, Address: o.address, Gone: o.gone}, true
}

// setLocationLocked takes the location that a server has announced.
func (p *presence) setLocationLocked(id string, o *peer, said *Presence) {
	if said.Prefix == o.prefix && said.Address == o.address {
		return
	}
	p.removeLocationLocked(id, o)
	if !validPrefix(said.Prefix) || said.Address != "" && !validAddress(said.Address) {
		return
	}
	o.prefix, o.address, o.gone = said.Prefix, said.Address, make(chan struct{})
	if id < p.link.self && p.link.cluster.own.avoid(o.prefix) { // the server with the lower id keeps it
		p.sendLocked(Heartbeat, "", Presence{})
	}
	if other, taken := p.prefixes[o.prefix]; !taken || id < other {
		p.prefixes[o.prefix] = id
	}
}

// removeLocationLocked forgets the location of a server.
func (p *presence) removeLocationLocked(id string, o *peer) {
	if o.prefix == "" {
		return
	}
	prefix := o.prefix
	close(o.gone)
	o.prefix, o.address, o.gone = "", "", nil
	if p.prefixes[prefix] != id {
		return
	}
	delete(p.prefixes, prefix)
	for other, o := range p.others {
		if first, found := p.prefixes[prefix]; o.prefix == prefix && (!found || other < first) {
			p.prefixes[prefix] = other
		}
	}
}
