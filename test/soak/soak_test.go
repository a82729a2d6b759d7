package soak_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/test/internal/prometheustest"
)

// plotEnv names the file that the plot of a long soak is written to.
const plotEnv = "SIOPLUG_SOAK"

// A soak has a number of visits in all.
type soak struct {
	workers int
	warmUp  int64 // visits before the first measurement
	visits  int64 // afterwards
	pace    time.Duration
	stay    time.Duration // how long a client stays without a word, on average
	sample  time.Duration
	scrape  time.Duration // how often Prometheus asks
	slack   uint64        // bytes that the heap may grow, beside 5 %
}

func short() soak {
	return soak{
		workers: 20, warmUp: 200, visits: 400, pace: 5 * time.Millisecond, stay: 50 * time.Millisecond,
		sample: time.Second, scrape: time.Second, slack: 64 << 10,
	}
}

func long() soak {
	return soak{
		workers: 1_000, warmUp: 10_000, visits: 90_000, pace: 12 * time.Millisecond, stay: 8 * time.Second,
		sample: 5 * time.Second, scrape: 5 * time.Second,
	}
}

// warm is a soak in which more clients come than there are workers, so that the servers have
// had as many clients at a time before the first measurement as they will have later.
func (s soak) warm() soak {
	s.pace /= 3
	return s
}

// Servers keep nothing of clients that have gone: heap and goroutines return to what they
// were, within 5 %.
func TestServersKeepNothingOfClientsThatHaveGone(t *testing.T) {
	run, plotFile := short(), os.Getenv(plotEnv)
	if plotFile != "" {
		run = long()
	}
	redis := redistest.Start(t)
	servers := []server{startServer(t, "a", redis.Addr), startServer(t, "b", redis.Addr)}
	prometheus := prometheustest.Start(t, run.scrape, "../../observe/prometheus/alerts.yml", servers[0].addr, servers[1].addr)
	var c counts
	p := plot{start: time.Now()}
	stop := p.watch(t, servers, run.sample)
	run.warm().churn(t.Context(), servers, run.warmUp, &c)
	before := settle(t, servers)
	p.mark("first measurement")
	run.churn(t.Context(), servers, run.visits, &c)
	p.mark("the last client has gone")
	after := settle(t, servers)
	stop()
	t.Logf("%s", &c)
	c.compare(t, prometheus)
	for _, err := range c.errs {
		t.Error(err)
	}
	if c.recovered.Load() < c.cuts.Load()*9/10 {
		t.Errorf("%d of %d clients were recovered", c.recovered.Load(), c.cuts.Load())
	}
	for i, s := range servers {
		t.Logf("server %s: before %+v, after %+v", s.name, before[i], after[i])
		if after[i].Heap > before[i].Heap+before[i].Heap/20+run.slack {
			t.Errorf("server %s: heap of %d bytes before, %d after", s.name, before[i].Heap, after[i].Heap)
		}
		if after[i].Goroutines > before[i].Goroutines+before[i].Goroutines/20 {
			t.Errorf("server %s: %d goroutines before, %d after", s.name, before[i].Goroutines, after[i].Goroutines)
		}
		if after[i].Lost > 0 {
			t.Errorf("server %s: %d messages were lost", s.name, after[i].Lost)
		}
	}
	if plotFile != "" && !t.Failed() {
		if err := os.WriteFile(plotFile, p.svg(&c), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// compare looks whether Prometheus has seen what the clients have done.
func (c *counts) compare(t *testing.T, p prometheustest.Server) {
	t.Helper()
	for query, want := range map[string]int64{
		`sum(sioplug_sessions)`: 0,
		`sum(sioplug_sessions_opened_total) - sum(sioplug_sessions_closed_total)`: 0,
		`sum(sioplug_recoveries_total{outcome="ok"})`:                             c.recovered.Load(),
		`sum(sioplug_cluster_lost_messages_total)`:                                0,
		`count(ALERTS{alertstate="firing"}) or vector(0)`:                         0,
		// A client may try again before it has heard that it was let in.
		fmt.Sprintf(`sum(sioplug_sessions_opened_total) >= bool %d`, c.connects.Load()): 1,
		// Clients do not wait for the upgrade after a cut.
		fmt.Sprintf(`sum(sioplug_upgrades_total{result="ok"}) >= bool %d`, c.upgrades.Load()): 1,
	} {
		p.Await(t, query, strconv.FormatInt(want, 10), nil)
	}
}

// settle waits until the servers have no clients, and keep no sessions.
func settle(t *testing.T, servers []server) []usage {
	t.Helper()
	const limit = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	list := make([]usage, len(servers))
	var last string
	for same := 0; same < 2; { // until nothing changes any more
		select {
		case <-time.After(sessionLife):
		case <-ctx.Done():
			t.Fatalf("it does not settle: %+v", list)
		}
		quiet := true
		text := ""
		for i, s := range servers {
			list[i] = s.usage(t)
			quiet = quiet && list[i].Clients == 0 && list[i].Rooms == 0 && list[i].Namespaces == 1
			text += fmt.Sprint(list[i].Goroutines, " ")
		}
		if same++; !quiet || text != last {
			same = 0
		}
		last = text
	}
	return list
}

// watch adds samples to the plot until stop is called.
func (p *plot) watch(t *testing.T, servers []server, pause time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			at := sample{at: time.Since(p.start)}
			for _, s := range servers {
				u := s.usage(t)
				at.heap += u.Heap
				at.goroutines += u.Goroutines
				at.clients += u.Clients
			}
			p.add(at)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}
