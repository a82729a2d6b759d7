// Package paired compares a server that is observed with one that is not, for the benchmarks of
// the modules that observe.
package paired

import (
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// An Observed says how a server is observed.
type Observed struct {
	Observer   *sio.Observer
	Middleware []sio.Middleware // of events
}

// Run measures echoes of one client, and broadcasts to 1,000 clients.
func Run(b *testing.B, o Observed) {
	b.Helper()
	b.Run("echo", func(b *testing.B) { compare(b, o, echo) })
	b.Run("broadcast to 1000", func(b *testing.B) { compare(b, o, broadcast) })
}

// echo returns a round of 500 echoes.
func echo(b *testing.B, srv *sio.Server, address string) func() {
	b.Helper()
	srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
	c := Open(b, address)
	return func() {
		for range 500 {
			c.send(b, `42["echo","hello"]`)
			c.read(b, len(`42["echo","hello"]`))
		}
	}
}

// broadcast returns a round of 5 broadcasts.
func broadcast(b *testing.B, srv *sio.Server, address string) func() {
	b.Helper()
	clients := make([]*Client, 1000)
	for i := range clients {
		clients[i] = Open(b, address)
	}
	return func() {
		for range 5 {
			if err := srv.Emit("news", "hello"); err != nil {
				b.Fatal(err)
			}
			var all sync.WaitGroup
			for part := range slices.Chunk(clients, 250) {
				all.Go(func() {
					for _, c := range part {
						c.read(b, len(`42["news","hello"]`))
					}
				})
			}
			all.Wait()
		}
	}
}

// compare prepares servers without observers and with them, in this process, and measures one
// round of each in turn, so that the machine's load concerns both alike. The ratio is the median
// of the pairs. There are two servers of each kind, since two equal ones can differ by 2%: where
// their memory is, and which came first.
func compare(b *testing.B, o Observed, prepare func(b *testing.B, srv *sio.Server, address string) func()) {
	b.Helper()
	round := func(observers []*sio.Observer, mw []sio.Middleware) func() {
		srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler), Observers: observers, PingInterval: time.Hour}) // clients answer no pings
		srv.UseEvents(mw...)
		hs := httptest.NewServer(srv)
		b.Cleanup(func() {
			_ = srv.Shutdown(b.Context())
			hs.Close()
		})
		return prepare(b, srv, strings.TrimPrefix(hs.URL, "http://"))
	}
	without := func() func() { return round(nil, nil) }
	with := func() func() { return round([]*sio.Observer{o.Observer}, o.Middleware) }
	a, c, d, e := without(), with(), with(), without()
	pairs := [2][2]func(){{a, c}, {e, d}}
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		var took [2]time.Duration
		if b.Failed() {
			return
		}
		for j := range took {
			which := (i/len(pairs) + j) % len(took) // none of them is always the first
			start := time.Now()
			pairs[i%len(pairs)][which]() // none is measured twice in a row, when it is in the caches
			took[which] = time.Since(start)
		}
		ratios = append(ratios, float64(took[1])/float64(took[0]))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "with/without")
}
