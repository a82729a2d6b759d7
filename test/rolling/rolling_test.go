package rolling_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/redistest"
)

// rollingEnv is "long" for the long form.
const rollingEnv = "SIOPLUG_ROLLING"

// A form is how much happens.
type form struct {
	clients, senders int
	pause            time.Duration // between two messages of a sender
	spread           time.Duration // of each drain
	settle           time.Duration // between two restarts, so that nginx knows the new server
}

func short() form {
	return form{clients: 60, senders: 4, pause: 100 * time.Millisecond, spread: 3 * time.Second, settle: 100 * time.Millisecond}
}

func long() form {
	return form{clients: 1000, senders: 40, pause: 200 * time.Millisecond, spread: 20 * time.Second, settle: 3 * time.Second}
}

// names are the names of the servers.
func names() []string { return []string{"a", "b", "c"} }

// Each server is drained and replaced. No acknowledged message is lost, and none comes twice.
func TestRollingRestart(t *testing.T) {
	f := short()
	if os.Getenv(rollingEnv) == "long" {
		f = long()
	}
	t.Log("| broker | clients | moves | acknowledged | deliveries | lost | doubled | away: median / 99 % / longest | latency |")
	for name, broker := range map[string]func(t *testing.T) string{
		redisStreams: func(t *testing.T) string { t.Helper(); return redistest.Start(t).Addr },
		jetStream:    func(t *testing.T) string { t.Helper(); return start(t, settings{NATS: t.TempDir()}).first },
	} {
		t.Run(name, func(t *testing.T) {
			if f == short() {
				t.Parallel() // the long form measures
			}
			f.run(t, name, broker(t))
		})
	}
}

func (f form) run(t *testing.T, broker, addr string) {
	t.Helper()
	var all []settings
	var addrs []string
	for _, name := range names() {
		all = append(all, settings{Broker: broker, Addr: addr, Name: name, Listen: freePort(t), Spread: f.spread})
		addrs = append(addrs, all[len(all)-1].Listen)
	}
	var servers []*process
	for _, s := range all {
		servers = append(servers, start(t, s))
	}
	w := connect(t, startNginx(t, addrs), f.clients)
	w.announce(t) // without an event, no client can be recovered
	stop := w.talk(t, f.senders, f.pause)
	defer stop()
	for i, s := range all {
		w.await(t, "all clients are there", func() bool { losses, returns := w.back(); return losses == returns })
		<-time.After(f.settle)
		from, _ := w.back()
		began := time.Now()
		servers[i].end(t)
		servers[i] = start(t, s)
		w.await(t, "all clients are back", func() bool { losses, returns := w.back(); return losses == returns })
		w.checkSpread(t, s.Name, f.spread, began, from)
	}
	<-time.After(f.settle)
	stop()
	w.announce(t)
	w.report(t, broker)
	w.leave(t)
	checkDrainsAtOnce(t, servers, f.spread)
}

// announce sends a message to all clients, and waits until they have it.
func (w *crowd) announce(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w.send(ctx, w.clients[0], "")
	w.mu.Lock()
	number := len(w.sent) - 1
	w.mu.Unlock()
	w.await(t, "all clients have the message", func() bool { return w.complete(number) })
}

// await waits until something is so.
func (w *crowd) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-timeout:
			losses, returns := w.back()
			t.Errorf("it took too long until %s: %d connections were lost, %d clients are back", what, losses, returns)
			w.report(t, "")
			t.FailNow()
		}
	}
}

// perSecond counts how many of the times are in each second.
func perSecond(times []time.Time, began time.Time) (list []int) {
	for _, at := range times {
		second := int(at.Sub(began) / time.Second)
		for len(list) <= second {
			list = append(list, 0)
		}
		list[second]++
	}
	return list
}

// The least and the longest delay after which a client comes back. It is random.
const (
	leastDelay   = 500 * time.Millisecond
	longestDelay = 1500 * time.Millisecond
)

// maxLate is how late clients may be, as a part of the spread: the machine may be busy.
const maxLate = 4

// checkSpread checks that the clients of a server have lost their connections evenly over the
// spread, and have come back as evenly. Nobody can be early, however slow the machine is.
func (w *crowd) checkSpread(t *testing.T, server string, spread time.Duration, began time.Time, from int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	losses, returns := slices.Clone(w.losses[from:]), slices.Clone(w.returns[from:])
	t.Logf("server %s: %d clients lose their connection, per second: %v, come back: %v",
		server, len(losses), perSecond(losses, began), perSecond(returns, began))
	if len(losses) == 0 || len(returns) != len(losses) {
		t.Fatalf("server %s: %d clients have lost their connection, and %d have come back", server, len(losses), len(returns))
	}
	checkTurns(t, "lose their connection", losses, began, spread, spread/maxLate)
	checkTurns(t, "come back", returns, began.Add(leastDelay), spread, longestDelay-leastDelay+spread/maxLate)
}

// checkTurns checks that each of these times is in its turn: they begin at a time, and are at
// even distances over the spread.
func checkTurns(t *testing.T, what string, times []time.Time, begin time.Time, spread, slack time.Duration) {
	t.Helper()
	slices.SortFunc(times, time.Time.Compare)
	for i, at := range times {
		after, turn := at.Sub(begin), time.Duration(i)*spread/time.Duration(len(times))
		if after < turn || after > turn+slack {
			t.Errorf("of %d clients that %s, number %d does after %v: want %v to %v, with a spread of %v", len(times), what, i+1, after, turn, turn+slack, spread)
			return
		}
	}
}

// checkDrainsAtOnce checks that servers without clients do not take the time of a spread to end.
func checkDrainsAtOnce(t *testing.T, servers []*process, spread time.Duration) {
	t.Helper()
	for i, p := range servers {
		began := time.Now()
		p.end(t)
		if took := time.Since(began); took >= spread { // the race detector alone takes a second
			t.Errorf("server %s without clients takes %v to end, and the spread is %v", names()[i], took, spread)
		} else {
			t.Logf("server %s without clients takes %v to end", names()[i], took.Round(time.Millisecond))
		}
	}
}

// report checks what became of the messages, and logs the row of the table.
func (w *crowd) report(t *testing.T, broker string) {
	t.Helper()
	v := w.verdict()
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Logf("| %s | %d | %d | %d | %d | %d | %d | %v | %v |", broker, len(w.clients), len(w.returns), v.acknowledged, v.deliveries,
		v.lost, v.doubled, quantiles(w.away), quantiles(w.latency))
	if v.lost > 0 || v.doubled > 0 || v.strange > 0 || w.afresh > 0 {
		t.Errorf("%+v; of %d clients that have come back, %d were not recovered", v, len(w.returns), w.afresh)
	}
	if v.acknowledged < 10*len(names()) || len(w.returns) < len(w.clients) {
		t.Errorf("%d messages and %d moves of %d clients show nothing", v.acknowledged, len(w.returns), len(w.clients))
	}
	if len(w.failures) > 0 {
		t.Logf("%d messages were not acknowledged, such as: %v", len(w.failures), w.failures[0])
	}
}

// quantiles returns the median, the 99th percentile and the greatest of a list.
func quantiles(list []time.Duration) string {
	if len(list) == 0 {
		return "none"
	}
	slices.Sort(list)
	at := func(share float64) time.Duration {
		return list[int(share*float64(len(list)-1))].Round(time.Millisecond)
	}
	return strings.Join([]string{fmt.Sprint(at(0.5)), fmt.Sprint(at(0.99)), fmt.Sprint(at(1))}, " / ")
}
