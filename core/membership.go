package sio

import (
	"slices"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rooms"
)

// A membership is in which rooms a client was, and when. To ask for a room costs the
// same however many there are.
type membership struct {
	log    adapter.Log
	id     string
	stays  []adapter.Stay   // in the order in which it joined
	now    map[string]int   // by room, those of stays that last
	before map[string][]int // by room, the others, in the order in which they ended
	ended  []int            // all of the latter, likewise
	since  string           // where the ended ones begin to be complete
	left   string
	kicked bool
	closed bool // in all namespaces
}

func newMembership(log adapter.Log, s *adapter.Session) membership {
	p := membership{log: log, id: s.ID, now: make(map[string]int), before: make(map[string][]int)}
	p.since, p.left = s.Complete, s.Left
	for _, stay := range s.Rooms {
		i := p.add(stay)
		if stay.To == "" {
			p.now[stay.Room] = i
		} else {
			p.over(i)
		}
	}
	return p
}

func (p *membership) add(stay adapter.Stay) (i int) {
	p.stays = append(p.stays, stay)
	return len(p.stays) - 1
}

// over notes that a stay has ended.
func (p *membership) over(i int) {
	room := p.stays[i].Room
	p.before[room] = append(p.before[room], i)
	p.ended = append(p.ended, i)
}

// has reports whether the client was in a room when something came at an offset.
func (p *membership) has(room, at string) bool {
	if room == p.id {
		return true
	}
	if i, ok := p.now[room]; ok && p.log.Compare(p.stays[i].From, at) < 0 {
		return true
	}
	for _, i := range slices.Backward(p.before[room]) {
		switch s := &p.stays[i]; {
		case p.log.Compare(at, s.To) > 0:
			return false // nor in those that ended before
		case p.log.Compare(s.From, at) < 0:
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
	case adapter.Broadcast, adapter.ServerEvent, adapter.Fetch: // change no rooms
	case adapter.Disconnect:
		p.kicked, p.closed = true, m.Close
	case adapter.Join:
		for _, room := range m.Rooms {
			if i, in := p.now[room]; in {
				p.stays[i].Pinned = p.stays[i].Pinned || m.Pin
			} else {
				p.now[room] = p.add(adapter.Stay{Room: room, From: at, Pinned: m.Pin})
			}
		}
	case adapter.Leave:
		for _, room := range m.Rooms {
			if i, in := p.now[room]; in && (m.Pin || !p.stays[i].Pinned) {
				delete(p.now, room)
				p.stays[i].To = at
				p.over(i)
			}
		}
	default: // concerns nobody's rooms
	}
}

// visit returns the membership for an index.
func (p *membership) visit() rooms.History {
	v := rooms.History{Complete: p.since, Left: p.left}
	for i := range p.stays {
		if p.stays[i].To == "" {
			v.Stays = append(v.Stays, rooms.Stay(p.stays[i]))
		}
	}
	for _, i := range p.ended {
		v.Stays = append(v.Stays, rooms.Stay(p.stays[i]))
	}
	return v
}
