package redisadapter

import (
	"sync"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A streamState joins what the subscriptions and the readers of a [streams] say about their
// connections. It is the [cluster.Inbound] of the subscriptions.
//
// What is in the streams is not missed while a connection is lost, unless it was trimmed
// away. Over pub/sub go only requests and answers: who asks, notices.
type streamState struct {
	cluster.Inbound

	notices notices

	mu      sync.Mutex
	down    map[string]error // by part: why it is down; nil if it has not been up yet
	begun   map[string]bool  // readers that know where to begin
	readers int
	waiting []string // namespaces that are subscribed to, while not all readers have begun
	up      bool
	told    bool // it was told that packets do not arrive
	missed  bool
}

const ofSubscriptions = "" // the part that is no reader

func newStreamState(in cluster.Inbound, readers []string) *streamState {
	s := &streamState{
		Inbound: in, readers: len(readers), begun: make(map[string]bool), down: map[string]error{ofSubscriptions: nil},
	}
	for _, r := range readers {
		s.down[r] = nil
	}
	return s
}

// Subscribed implements [cluster.Inbound].
func (s *streamState) Subscribed(namespace string) {
	s.mu.Lock()
	if len(s.begun) == s.readers {
		s.notices.add(func() { s.Inbound.Subscribed(namespace) })
	} else {
		s.waiting = append(s.waiting, namespace)
	}
	s.mu.Unlock()
	s.notices.flush()
}

// Connected implements [cluster.Inbound].
func (s *streamState) Connected(bool) { s.connected(ofSubscriptions, false) }

// Disconnected implements [cluster.Inbound].
func (s *streamState) Disconnected(err error) { s.disconnected(ofSubscriptions, err) }

func (s *streamState) connected(part string, missed bool) {
	s.mu.Lock()
	delete(s.down, part)
	if part != ofSubscriptions {
		s.begun[part] = true
	}
	s.missed = s.missed || missed
	if len(s.begun) == s.readers {
		for _, namespace := range s.waiting {
			s.notices.add(func() { s.Inbound.Subscribed(namespace) })
		}
		s.waiting = nil
	}
	if len(s.down) == 0 && !s.up {
		missed := s.missed
		s.up, s.told, s.missed = true, false, false
		s.notices.add(func() { s.Inbound.Connected(missed) })
	}
	s.mu.Unlock()
	s.notices.flush()
}

func (s *streamState) disconnected(part string, err error) {
	s.mu.Lock()
	s.down[part] = err
	s.up = false
	if !s.told {
		s.told = true
		s.notices.add(func() { s.Inbound.Disconnected(err) })
	}
	s.mu.Unlock()
	s.notices.flush()
}
