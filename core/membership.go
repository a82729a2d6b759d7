package sio

import (
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/internal/rooms"
)

// A membership is in which rooms a client was, and when.
type membership struct {
	log    adapter.Log
	id     string
	now    map[string]adapter.Stay
	past   []adapter.Stay // in the order in which they ended
	since  string         // where past begins to be complete
	left   string
	kicked bool
	closed bool // in all namespaces
}

func newMembership(log adapter.Log, s *adapter.Session) membership {
	p := membership{log: log, id: s.ID, now: make(map[string]adapter.Stay), since: s.Complete, left: s.Left}
	for _, stay := range s.Rooms {
		if stay.To == "" {
			p.now[stay.Room] = stay
		} else {
			p.past = append(p.past, stay)
		}
	}
	return p
}

// has reports whether the client was in a room when something came at an offset.
func (p *membership) has(room, at string) bool {
	if room == p.id {
		return true
	}
	if stay, ok := p.now[room]; ok && p.log.Compare(stay.From, at) < 0 {
		return true
	}
	for i := range p.past {
		s := &p.past[i]
		if s.Room == room && p.log.Compare(s.From, at) < 0 && p.log.Compare(at, s.To) <= 0 {
			return true
		}
	}
	return false
}

// selectedBy reports whether the client was among those that a target selects.
func (p *membership) selectedBy(t adapter.Target, at string) bool {
	for _, room := range t.Except {
		if p.has(room, at) {
			return false
		}
	}
	for _, room := range t.Rooms {
		if p.has(room, at) {
			return true
		}
	}
	return len(t.Rooms) == 0
}

// apply does to the client what was done to others at an offset.
func (p *membership) apply(m *adapter.Message, at string) {
	if p.kicked || !p.selectedBy(m.Target, at) {
		return
	}
	switch m.Kind {
	case adapter.Disconnect:
		p.kicked, p.closed = true, m.Close
	case adapter.Join:
		for _, room := range m.Rooms {
			stay, in := p.now[room]
			if !in {
				stay = adapter.Stay{Room: room, From: at}
			}
			stay.Pinned = stay.Pinned || m.Pin
			p.now[room] = stay
		}
	case adapter.Leave:
		for _, room := range m.Rooms {
			stay, in := p.now[room]
			if !in || stay.Pinned && !m.Pin {
				continue
			}
			delete(p.now, room)
			stay.To = at
			p.past = append(p.past, stay)
		}
	default: // concerns nobody's rooms
	}
}

// visit returns the membership for an index.
func (p *membership) visit() rooms.Visit {
	v := rooms.Visit{Complete: p.since, Left: p.left}
	for _, stay := range p.now {
		v.Stays = append(v.Stays, rooms.Stay(stay))
	}
	for _, stay := range p.past {
		v.Stays = append(v.Stays, rooms.Stay(stay))
	}
	return v
}
