// Package servers has what the modules that export metrics have in common.
package servers

import (
	"sync"

	sio "github.com/sioplug/sioplug/core"
)

// A List has the servers that an observer was given to. The zero value is an empty list. Its
// methods may be called at any time.
type List struct {
	mu      sync.Mutex
	servers []*sio.Server // is only appended to, or replaced
}

// Add adds a server. It is for [sio.Observer.ServerStarted].
func (l *List) Add(srv *sio.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.servers = append(l.servers, srv)
}

// Forget empties the list.
func (l *List) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.servers = nil
}

// Stats returns the numbers of all servers, and those of the servers that have an adapter.
func (l *List) Stats() (all, clustered []sio.Stats) {
	l.mu.Lock()
	servers := l.servers
	l.mu.Unlock()
	for _, srv := range servers { // each visits its clients, so it is not done under the lock
		stats := srv.Stats()
		all = append(all, stats)
		if srv.Options().Adapter != nil {
			clustered = append(clustered, stats)
		}
	}
	return all, clustered
}

// Outcomes returns all outcomes of handlers, for the labels that are made in advance.
func Outcomes() []sio.HandlerOutcome {
	return []sio.HandlerOutcome{
		sio.HandlerOK, sio.HandlerRefused, sio.HandlerError, sio.HandlerAborted, sio.HandlerInternalError, sio.HandlerPanic,
	}
}
