package gate_test

import (
	"sync"
	"testing"

	"github.com/sioplug/sioplug/core/internal/gate"
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

func TestEnterAndCloseRace(t *testing.T) {
	t.Parallel()
	var g gate.Gate
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if g.Enter() {
					g.Leave()
				}
			}
		})
	}
	<-g.Close()
	wg.Wait()
}
