package engine_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// Many goroutines send while the session moves from polling to WebSocket, in
// real time and in parallel, because it is the scheduler that has to find the
// gaps. What each of them sent arrives completely and in its order; nothing is
// promised about the order among them.
func TestOrderDuringUpgrade(t *testing.T) {
	const senders, each, rounds = 8, 100, 20
	t.Run("EIO-UP-3", func(t *testing.T) {
		k := enginetest.New(t, engine.Options{})
		for range rounds {
			p := k.OpenPolling()
			var sending sync.WaitGroup
			for i := range senders {
				sending.Go(func() {
					for j := range each {
						p.Send(fmt.Sprintf("%d %d", i, j))
						if j%10 == 0 {
							runtime.Gosched()
						}
					}
				})
			}
			check := tally{t: t, next: make([]int, senders)}
			probing := make(chan *enginetest.Conn)
			go func() {
				c := p.Upgrade()
				c.Text("2probe")
				same(t, "probe", c.Next(), "3probe")
				probing <- c
			}()
			c := func() *enginetest.Conn {
				for { // polls, as a client does, until the probe is answered
					check.payload(strings.TrimPrefix(p.Get(), "200 "))
					select {
					case c := <-probing:
						return c
					default:
						runtime.Gosched()
						p.Send("idle") // or the poll would wait for its noop
					}
				}
			}()
			c.Text("5")
			for check.total < senders*each {
				check.payload(c.Next())
			}
			sending.Wait()
			_ = c.Close()
			p.End()
		}
	})
}

// A tally checks that numbers come in order.
type tally struct {
	t     *testing.T
	next  []int
	total int
}

func (y *tally) payload(packets string) {
	y.t.Helper()
	for p := range strings.SplitSeq(packets, "\x1e") {
		if p == "6" || p == "4idle" {
			continue
		}
		who, what, ok := strings.Cut(strings.TrimPrefix(p, "4"), " ")
		i, err1 := strconv.Atoi(who)
		j, err2 := strconv.Atoi(what)
		if !ok || err1 != nil || err2 != nil {
			y.t.Fatalf("packet %q", p)
		}
		if j != y.next[i] {
			y.t.Fatalf("sender %d: got %d, want %d", i, j, y.next[i])
		}
		y.next[i]++
		y.total++
	}
}
