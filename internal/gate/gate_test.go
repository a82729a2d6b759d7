package gate_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sioplug/sioplug/internal/gate"
)

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	var g gate.Gate
	first, second := g.Enter(), g.Enter()
	if !first || !second || g.Closed() {
		t.Fatal("an open gate lets in")
	}
	empty := g.Close()
	if g.Enter() || !g.Closed() {
		t.Error("a closed gate lets nobody in")
	}
	g.Leave()
	if isClosed(empty) {
		t.Error("empty while one is inside")
	}
	g.Leave()
	if !isClosed(empty) || !isClosed(g.Close()) {
		t.Error("not empty when all have left")
	}
}

func TestGateThatNobodyEntered(t *testing.T) {
	t.Parallel()
	var g gate.Gate
	if !isClosed(g.Close()) {
		t.Error("not empty")
	}
}

// When the channel is closed, nobody is inside, and nobody gets in any more.
func TestEnterAndCloseRace(t *testing.T) {
	t.Parallel()
	for range 100 {
		var g gate.Gate
		var inside, late atomic.Int32
		var over atomic.Bool
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					closed := over.Load()
					if !g.Enter() {
						continue
					}
					if closed {
						late.Add(1)
					}
					inside.Add(1)
					runtime.Gosched()
					inside.Add(-1)
					g.Leave()
				}
			})
		}
		<-g.Close()
		if n := inside.Load(); n != 0 {
			t.Errorf("%d are inside of a gate that is closed and empty", n)
		}
		over.Store(true)
		wg.Wait()
		if n := late.Load(); n != 0 {
			t.Errorf("a closed gate let %d in", n)
		}
	}
}
