package cluster_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// After an outage, however long, servers do not wait for seconds until they try again.
func TestOutagesAreOverSoon(t *testing.T) {
	t.Parallel()
	const (
		outage = time.Hour
		pause  = 1500 * time.Millisecond // the longest one
		soon   = 300 * time.Millisecond  // two of the shortest ones
	)
	for name, tt := range map[string]struct {
		connected bool // the broker says that it is back
		within    time.Duration
	}{
		"the broker says nothing":         {false, pause},
		"the broker says that it is back": {true, soon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				h.uncounted = true // and then others are not waited for
				n := [2]*node{join(t, h, cluster.Options{}), join(t, h, cluster.Options{})}
				synctest.Wait()
				h.do(func() { h.failing = errors.New("away") })
				if err := n[0].Publish(event("waits")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(outage)
				h.do(func() { h.failing = nil })
				if tt.connected {
					h.broker(n[0].cluster.Status().Server).in.Connected(true)
				}
				time.Sleep(tt.within)
				synctest.Wait()
				if got := n[1].got(); len(got) != 1 || got[0] != `["waits"]` {
					t.Errorf("%v after the outage, got %q", tt.within, got)
				}
				if s := n[0].cluster.Status(); s.Queued > 0 || s.Lost > 0 {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// A broker that connects again and again, and takes nothing, is not asked without a pause.
func TestBrokersThatConnectAndTakeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := join(t, h, cluster.Options{})
		synctest.Wait()
		h.do(func() { h.failing = errors.New("away") })
		b := h.broker(n.cluster.Status().Server)
		if err := n.Publish(event("waits")); err != nil {
			t.Fatal(err)
		}
		before := h.asked()
		const seconds = 10
		for range 1000 * seconds {
			b.in.Connected(true)
			time.Sleep(time.Millisecond)
		}
		if asked := h.asked() - before; asked > 20*seconds || asked < seconds {
			t.Errorf("it was asked %d times in %d s", asked, seconds)
		}
		h.do(func() { h.failing = nil })
	})
}

// What waits while the broker is away is not sent before others are connected with it again,
// however long it was away: they would miss it. That is so also if it comes back for others later.
func TestOthersAreWaitedForAfterALongOutage(t *testing.T) {
	t.Parallel()
	for name, probing := range map[string]bool{"a broker that counts": false, "one that knows who is there": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				h.probing = probing
				n := [2]*node{join(t, h, cluster.Options{}), join(t, h, cluster.Options{})}
				synctest.Wait()
				away := errors.New("away")
				h.do(func() { h.failing = away })
				brokers := [2]*hubBroker{h.broker(n[0].cluster.Status().Server), h.broker(n[1].cluster.Status().Server)}
				for _, b := range brokers {
					b.Unsubscribe("/")
					b.in.Disconnected(away)
				}
				if err := n[0].Publish(event("waits")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				h.do(func() { h.failing = nil })
				for _, b := range brokers {
					time.Sleep(2 * time.Second)
					b.Subscribe("/")
					b.in.Connected(true)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if got := n[1].got(); len(got) != 1 || got[0] != `["waits"]` {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

// A server that cannot receive sends nevertheless, if the broker answers.
func TestAServerThatCannotReceiveSends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := [2]*node{join(t, h, cluster.Options{}), join(t, h, cluster.Options{})}
		synctest.Wait()
		h.broker(n[0].cluster.Status().Server).in.Disconnected(errors.New("not allowed"))
		if err := n[0].Publish(event("sent")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := n[1].got(); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	})
}
