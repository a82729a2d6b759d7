package metrics

import (
	"sync"

	sio "github.com/sioplug/sioplug/core"
)

// Servers are the servers that an observer was given to. The zero value has none. Its methods
// may be called at any time.
type Servers struct {
	mu   sync.Mutex
	list []*sio.Server // is only appended to, or replaced
}

// Add adds a server. It is for [sio.Observer.ServerStarted].
func (s *Servers) Add(srv *sio.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, srv)
}

// Forget takes all servers away.
func (s *Servers) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}

// Read calls send for each of the numbers, with its place in the list and the sum of all
// servers. Numbers of the cluster are left out if no server has an adapter, and all are if
// there is no server.
func (s *Servers) Read(numbers []Number, send func(i int, sum int64)) {
	all, clustered := s.stats()
	for i := range numbers {
		stats := all
		if numbers[i].Cluster {
			stats = clustered
		}
		if len(stats) == 0 {
			continue
		}
		var sum int64
		for j := range stats {
			sum += numbers[i].Of(&stats[j])
		}
		send(i, sum)
	}
}

// stats returns the numbers of all servers, and those of the servers that have an adapter.
func (s *Servers) stats() (all, clustered []sio.Stats) {
	s.mu.Lock()
	servers := s.list
	s.mu.Unlock()
	for _, srv := range servers { // each visits its clients, so it is not done under the lock
		stats := srv.Stats()
		all = append(all, stats)
		if srv.Options().Adapter != nil {
			clustered = append(clustered, stats)
		}
	}
	return all, clustered
}
