package sio

import (
	"slices"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rooms"
)

// A membership is a record of the rooms that a client was in, and when. Looking up a
// room takes constant time.
type membership struct {
	log          adapter.Log
	id           string
	stays        []adapter.Stay   // in the order in which it joined
	current      map[string]int   // by room, the index in stays of the stay that lasts
	former       map[string][]int // by room, the indexes of other stays, in the order of their ends
	ended        []int            // the indexes of all other stays, in the order of their ends
	completeFrom string           // the offset from which on the former stays are complete
	left         string
	disconnected bool
	closed       bool // in all namespaces
}

func newMembership(log adapter.Log, s *adapter.Session) membership {
	p := membership{log: log, id: s.ID, current: make(map[string]int), former: make(map[string][]int)}
	p.completeFrom, p.left = s.Complete, s.Left
	for _, stay := range s.Rooms {
		i := p.add(stay)
		if stay.To == "" {
			p.current[stay.Room] = i
		} else {
			p.stayEnded(i)
		}
	}
	return p
}

func (p *membership) add(stay adapter.Stay) (i int) {
	p.stays = append(p.stays, stay)
	return len(p.stays) - 1
}

// stayEnded notes that a stay has ended.
func (p *membership) stayEnded(i int) {
	room := p.stays[i].Room
	p.former[room] = append(p.former[room], i)
	p.ended = append(p.ended, i)
}

// has reports whether the client was in a room at an offset.
func (p *membership) has(room, at string) bool {
	if room == p.id {
		return true
	}
	if i, ok := p.current[room]; ok && p.log.Compare(p.stays[i].From, at) < 0 {
		return true
	}
	for _, i := range slices.Backward(p.former[room]) {
		switch s := &p.stays[i]; {
		case p.log.Compare(at, s.To) > 0:
			return false // earlier stays have ended before at, too
		case p.log.Compare(s.From, at) < 0:
			return true
		}
	}
	return false
}

// selectedBy reports whether a target selected the client at an offset.
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

// apply applies to the client a message that has this offset.
func (p *membership) apply(m *adapter.Message, at string) {
	if p.disconnected || !p.selectedBy(m.Target, at) {
		return
	}
	switch m.Kind {
	case adapter.Broadcast, adapter.ServerEvent, adapter.Fetch, adapter.Count: // change no rooms
	case adapter.Disconnect:
		p.disconnected, p.closed = true, m.Close
	case adapter.Join:
		for _, room := range m.Rooms {
			if i, in := p.current[room]; in {
				p.stays[i].Pinned = p.stays[i].Pinned || m.Pin
			} else {
				p.current[room] = p.add(adapter.Stay{Room: room, From: at, Pinned: m.Pin})
			}
		}
	case adapter.Leave:
		for _, room := range m.Rooms {
			if i, in := p.current[room]; in && (m.Pin || !p.stays[i].Pinned) {
				delete(p.current, room)
				p.stays[i].To = at
				p.stayEnded(i)
			}
		}
	default: // changes no rooms
	}
}

// history returns the membership in the form of the index.
func (p *membership) history() rooms.History {
	v := rooms.History{Complete: p.completeFrom, Left: p.left}
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
