package websocket_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
)

// slowHandler says when it has begun with a message, and goes on when it is told.
type slowHandler struct{ begun, goOn chan struct{} }

func (h slowHandler) Message(bool, []byte) {
	h.begun <- struct{}{}
	<-h.goOn
}

func (slowHandler) Control(*frame.Frame) {}

func (slowHandler) ReadDone() bool { return true }

// A connection holds the memory that its message came in for as long as that
// takes, and hundreds of them may have to wait for one garbage collection. For
// small messages that is little memory, even if a large one came before.
func TestSmallMessagesHoldLittleMemory(t *testing.T) {
	const n, ceiling = 200, 8 << 10
	large := strings.Repeat("x", 60_000)
	for name, messages := range map[string][]string{
		"only small ones":   {"hello"},
		"after a large one": {large, "hello", "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			served := make(chan struct{})
			before := liveHeap()
			for range n {
				h := slowHandler{make(chan struct{}), make(chan struct{})}
				server, client := tcpPair(t)
				go func() {
					_ = websocket.New(server, limit, nil).Serve(h) // until the test is over
					served <- struct{}{}
				}()
				for i, m := range messages {
					if i > 0 {
						h.goOn <- struct{}{}
					}
					if _, err := client.Write(masked(fin|text, m)); err != nil {
						t.Fatal(err)
					}
					<-h.begun
				}
				t.Cleanup(func() {
					close(h.goOn)
					_ = client.Close()
					<-served
				})
			}
			if held := (liveHeap() - before) / n; held > ceiling {
				t.Errorf("%d bytes for each connection, more than %d", held, ceiling)
			}
		})
	}
}

func liveHeap() int {
	runtime.GC()
	runtime.GC() // empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
