package main

import (
	"maps"
	"slices"
	"sync"

	"github.com/lxzan/gws"
)

// everybody is the room that every connection is in.
const everybody = ""

// rooms knows who is where.
type rooms struct {
	mu     sync.RWMutex
	byName map[string]map[*gws.Conn]struct{}
	byConn map[*gws.Conn][]string
}

func newRooms() *rooms {
	return &rooms{byName: map[string]map[*gws.Conn]struct{}{}, byConn: map[*gws.Conn][]string{}}
}

func (r *rooms) join(c *gws.Conn, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName[name] == nil {
		r.byName[name] = map[*gws.Conn]struct{}{}
	}
	r.byName[name][c] = struct{}{}
	r.byConn[c] = append(r.byConn[c], name)
}

func (r *rooms) leaveAll(c *gws.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.byConn[c] {
		delete(r.byName[name], c)
		if len(r.byName[name]) == 0 {
			delete(r.byName, name)
		}
	}
	delete(r.byConn, c)
}

func (r *rooms) members(name string) []*gws.Conn {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Keys(r.byName[name]))
}
