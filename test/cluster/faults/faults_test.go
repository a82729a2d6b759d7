package faults_test

import (
	"bytes"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// long reports whether faults are to be as long as in docs/clustering.md.
func long() bool { return os.Getenv("SIOPLUG_FAULTS") == "long" }

func duration(short, full time.Duration) time.Duration {
	if long() {
		return full
	}
	return short
}

func clusterOptions(name string) cluster.Options { return cluster.Options{Name: name} }

// each runs a test for every adapter, and prints a row of the table.
func each(t *testing.T, fault string, f func(t *testing.T, kind adapterKind, b broker) outcome) {
	t.Helper()
	for _, kind := range adapterKinds() {
		t.Run(string(kind), func(t *testing.T) {
			if !long() {
				t.Parallel()
			}
			o := f(t, kind, kind.start(t))
			t.Logf("| %s | %s | %s |", fault, kind, &o)
		})
	}
}

const pause = 5 * time.Millisecond

// The broker is killed, and comes back, Redis without its data. Own clients go on; others miss what was said
// meanwhile, which is counted; nothing comes twice (CF-8, CAP-F-23).
func TestBrokerIsKilled(t *testing.T) {
	each(t, "broker killed, back after 2 s", func(t *testing.T, kind adapterKind, b broker) outcome {
		g := startGroup(t, kind, b.addr(), clusterOptions(""), "a", "b", "c")
		g.begin(t, pause)
		time.Sleep(300 * time.Millisecond)
		b.kill()
		time.Sleep(duration(500*time.Millisecond, 2*time.Second))
		b.restart()
		whole := g.awaitWhole(t, 3)
		time.Sleep(300 * time.Millisecond)
		return g.outcome(t, whole)
	})
}

// The broker hangs. Nothing is lost (CF-10).
func TestBrokerHangs(t *testing.T) {
	each(t, "broker hung for 10 s", func(t *testing.T, kind adapterKind, b broker) outcome {
		g := startGroup(t, kind, b.addr(), clusterOptions(""), "a", "b", "c")
		g.begin(t, pause)
		time.Sleep(300 * time.Millisecond)
		goOn := b.hang()
		time.Sleep(duration(1500*time.Millisecond, 10*time.Second))
		goOn()
		whole := g.awaitWhole(t, 3)
		o := g.outcome(t, whole)
		if o.lost > 0 || o.gaps > 0 || o.arrived[1] != o.emitted || o.arrived[2] != o.emitted {
			t.Errorf("lost: %s", &o)
		}
		return o
	})
}

// The network between one server and the broker lets nothing through for a while. Nothing is
// lost in either direction.
func TestPartition(t *testing.T) {
	each(t, "one server cut off for 10 s", func(t *testing.T, kind adapterKind, b broker) outcome {
		g := startGroup(t, kind, b.addr(), clusterOptions(""), "a", "b", "c")
		g.begin(t, pause)
		time.Sleep(300 * time.Millisecond)
		heal := g.servers[1].proxy.Partition()
		time.Sleep(duration(time.Second, 10*time.Second))
		heal()
		whole := g.awaitWhole(t, 3)
		o := g.outcome(t, whole)
		if o.lost > 0 || o.gaps > 0 || o.arrived[1] != o.emitted || o.arrived[2] != o.emitted {
			t.Errorf("lost: %s", &o)
		}
		return o
	})
}

// Connections are cut again and again. What is lost is counted.
func TestConnectionsAreCut(t *testing.T) {
	each(t, "connections cut 5 times", func(t *testing.T, kind adapterKind, b broker) outcome {
		g := startGroup(t, kind, b.addr(), clusterOptions(""), "a", "b")
		g.begin(t, pause)
		for range 5 {
			time.Sleep(200 * time.Millisecond)
			g.servers[0].proxy.Cut()
			time.Sleep(200 * time.Millisecond)
			g.servers[1].proxy.Cut()
		}
		whole := g.awaitWhole(t, 2)
		return g.outcome(t, whole)
	})
}

// The network of one server is slow. Nothing is lost in either direction.
func TestSlowNetwork(t *testing.T) {
	each(t, "one server's network delays by 20 ms", func(t *testing.T, kind adapterKind, b broker) outcome {
		g := startGroup(t, kind, b.addr(), clusterOptions(""), "a", "b", "c")
		g.servers[0].proxy.Delay(20 * time.Millisecond)
		g.begin(t, pause)
		time.Sleep(duration(time.Second, 10*time.Second))
		whole := g.awaitWhole(t, 3)
		o := g.outcome(t, whole)
		if o.lost > 0 || o.gaps > 0 || o.arrived[1] != o.emitted || o.arrived[2] != o.emitted {
			t.Errorf("lost: %s", &o)
		}
		return o
	})
}

// A server is killed. The others do not wait for it: the broker knows (CF-9).
func TestServerIsKilled(t *testing.T) {
	each(t, "a server killed", func(t *testing.T, kind adapterKind, b broker) outcome {
		kill := startProcess(t, settings{kind, b.addr()})
		g := startGroup(t, kind, b.addr(), clusterOptions(""), "a", "b")
		for g.servers[0].members() != 2 || g.servers[1].members() != 2 {
			time.Sleep(10 * time.Millisecond)
		}
		g.begin(t, pause)
		time.Sleep(300 * time.Millisecond)
		kill()
		whole := g.awaitWhole(t, 2) // whoever asks
		killed := time.Now()
		for g.servers[0].members() != 1 || g.servers[1].members() != 1 {
			if time.Since(killed) > time.Minute {
				t.Fatalf("still a member: %+v", g.servers[0].srv.Cluster().Members)
			}
			time.Sleep(10 * time.Millisecond)
		}
		o := g.outcome(t, whole)
		if o.arrived[1] != o.emitted || o.lost > 0 {
			t.Errorf("lost: %s", &o)
		}
		return o
	})
}

// A flood of broadcasts while the broker hangs. What the queue holds arrives afterwards, the rest
// is refused and counted. Afterwards neither goroutines nor memory are left (CF-10).
func TestFloodWhileBrokerHangs(t *testing.T) {
	for name, limit := range map[string]int{"9,000 broadcasts while the broker hung for 5 s": 0, "the same, with a queue of 256 KiB": 256 << 10} {
		t.Run(name, func(t *testing.T) {
			each(t, name, func(t *testing.T, kind adapterKind, b broker) outcome {
				g := startGroup(t, kind, b.addr(), cluster.Options{MaxQueueBytes: limit}, "a", "b", "c")
				before := takeUsage()
				goOn := b.hang()
				hung := time.Now()
				g.begin(t, 0)
				for range 9000 {
					g.emit()
				}
				if d := duration(time.Second, 5*time.Second) - time.Since(hung); d > 0 {
					time.Sleep(d)
				}
				goOn()
				whole := g.awaitWhole(t, 3)
				o := g.outcome(t, whole)
				if missing := o.emitted - o.arrived[1]; limit == 0 && missing > 0 || limit > 0 && (missing < 1000 || g.refused == 0) {
					t.Errorf("%d of %d events are missing, %d calls failed, %d counted as lost", missing, o.emitted, g.refused, o.lost)
				}
				if long() { // alone
					checkUsage(t, before, takeUsage())
				}
				return o
			})
		})
	}
}

// A usage is what the process uses.
type usage struct {
	servers, proxies int    // goroutines: of the servers and the test, and of the proxies, which have some for each connection
	heap             uint64 // bytes
}

// takeUsage returns what the process uses now.
func takeUsage() (u usage) {
	runtime.GC()
	runtime.GC() // what has finalizers
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap = m.HeapAlloc
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for one := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(one, []byte("/test/network.")) {
			u.proxies++
		} else {
			u.servers++
		}
	}
	return u
}

// checkUsage logs what a flood has left, and checks that goroutines have ended.
func checkUsage(t *testing.T, before, after usage) {
	t.Helper()
	t.Logf("goroutines %d, then %d; of proxies %d, then %d; heap %d KiB, then %d KiB",
		before.servers, after.servers, before.proxies, after.proxies, before.heap>>10, after.heap>>10)
	const some = 3 // timers, and connections that are being made
	if after.servers > before.servers+some {
		stacks := make([]byte, 4<<20)
		t.Errorf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
	}
}
