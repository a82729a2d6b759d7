package users

import (
	"fmt"
	"runtime"
	"testing"
)

func newTable(o Options) *Users {
	u := &Users{opts: o}
	u.table.init()
	u.peers.init()
	return u
}

// heap returns the size of the heap without garbage.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// doc.go says what a user takes.
func TestMemoryOfAUser(t *testing.T) { //nolint:paralleltest // it measures the heap
	const n, limit = 50_000, 300
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("user%d", i)
	}
	u := newTable(Options{MaxUsers: n})
	before := heap()
	for _, id := range ids {
		u.change(u, id, "")
	}
	here := float64(heap()-before) / n
	p := &peer{id: "x", users: make(map[*entry]struct{})}
	before = heap()
	u.mu.Lock()
	for _, id := range ids {
		u.addLocked(p, listed{id: id}, nil)
	}
	u.mu.Unlock()
	there := float64(heap()-before) / n
	t.Logf("%.0f bytes for a user, %.0f more for each other server where the user is", here, there)
	if here+there > limit {
		t.Errorf("%.0f bytes, want at most %d", here+there, limit)
	}
	runtime.KeepAlive(u)
	runtime.KeepAlive(p)
}

func BenchmarkComeAndGo(b *testing.B) {
	u := newTable(Options{MaxUsers: 1000})
	b.ReportAllocs()
	for b.Loop() {
		u.change(u, "ann", "")
		u.change(u, "", "ann")
	}
}

// BenchmarkOnline is what a handler pays that asks for a user.
func BenchmarkOnline(b *testing.B) {
	u := newTable(Options{MaxUsers: 1000})
	u.change(u, "ann", "")
	b.ReportAllocs()
	for b.Loop() {
		if !u.Online("ann") {
			b.Fatal("offline")
		}
	}
}
