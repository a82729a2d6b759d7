package cluster_test

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// A diary has what clients received, why they were disconnected, and which events servers
// got from other servers. Tests wait for its entries, and never for time to pass.
type diary struct {
	mu      sync.Mutex
	entries map[string][]string // by key
	changed chan struct{}       // closed at the next entry
}

func newDiary() *diary {
	return &diary{entries: make(map[string][]string), changed: make(chan struct{})}
}

// uncaught is the key of errors in Node.js that nothing catches.
const uncaught = "uncaught"

// The other keys of entries.
func received(client string) string     { return "received by " + client }
func disconnected(client string) string { return "disconnected " + client }
func told(server, ns string) string     { return "told " + server + " in " + ns }

func (d *diary) add(key, entry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries[key] = append(d.entries[key], entry)
	close(d.changed)
	d.changed = make(chan struct{})
}

// length returns the number of entries: a position for since.
func (d *diary) length(key string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.entries[key])
}

// since returns the entries from a position on.
func (d *diary) since(key string, position int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.entries[key][position:])
}

// within waits until ok reports true for the entries of a key from a position on, at most
// for a while. It reports whether that was so.
func (d *diary) within(t *testing.T, limit time.Duration, key string, position int, ok func(entries []string) bool) bool {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		d.mu.Lock()
		done, changed := ok(d.entries[key][position:]), d.changed
		d.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-deadline.C:
			return false
		}
	}
}

// until returns the entries from a position on up to one, for which it waits.
func (d *diary) until(t *testing.T, key string, position int, last string) []string {
	t.Helper()
	var before []string
	found := d.within(t, patience, key, position, func(entries []string) bool {
		i := slices.Index(entries, last)
		if i >= 0 {
			before = slices.Clone(entries[:i])
		}
		return i >= 0
	})
	if !found {
		t.Fatalf("%s: there is no %s, but %q", key, last, d.since(key, position))
	}
	return before
}
