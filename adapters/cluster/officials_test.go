package cluster_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// heartbeats is a broker whose official servers send heartbeats. It cannot count.
type heartbeats struct{ *hubBroker }

func (heartbeats) OfficialHeartbeats() {}

// joinWithHeartbeats joins the root namespace over such a broker.
func joinWithHeartbeats(t *testing.T, h *hub) *node {
	t.Helper()
	n := &node{cluster: cluster.New(func() cluster.Broker {
		b, _ := h.newBroker().(*hubBroker)
		return heartbeats{b}
	}, cluster.Options{})}
	n.cluster.NotifyErrors(func(error) {})
	n.Adapter = n.cluster.Join("/", n)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return n
}

// An announcing server is an official one that says that it is there.
type announcing struct {
	*official

	t  *testing.T
	mu sync.Mutex
}

// Receive implements [cluster.Inbound].
func (o *announcing) Receive(p *cluster.Packet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.official.Receive(p)
}

func addAnnouncing(t *testing.T, h *hub) *announcing {
	t.Helper()
	b, _ := h.newBroker().(*hubBroker)
	o := &announcing{official: &official{hubBroker: b}, t: t}
	o.Start("0123456789abcdef", o)
	o.Subscribe("/")
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return o
}

func (o *announcing) say(typ cluster.Type) {
	o.t.Helper()
	p := &cluster.Packet{Type: typ, From: o.self, Namespace: "/"}
	if _, _, err := o.Publish(context.Background(), []*cluster.Packet{p}); err != nil {
		o.t.Error(err)
	}
	synctest.Wait()
}

// types returns the types of what came since the last call.
func (o *announcing) types() (list []cluster.Type) {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.got {
		list = append(list, p.Type)
	}
	o.got = nil
	return list
}

// CAP-F-13, ECO-PG-8: servers of this module say to official ones that they are there, answer
// them, and say when they leave. They send no heartbeats to namespaces without official servers.
func TestHeartbeatsForOfficialServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.uncounted = true
		o := addAnnouncing(t, h)
		n := joinWithHeartbeats(t, h)
		if got := o.types(); !slices.Equal(got, []cluster.Type{cluster.InitialHeartbeat}) {
			t.Errorf("it joins with %v", got)
		}
		time.Sleep(time.Minute)
		if got := o.types(); got != nil {
			t.Errorf("nobody is there, and it says %v", got)
		}
		o.say(cluster.InitialHeartbeat)
		if got := o.types(); !slices.Equal(got, []cluster.Type{cluster.Heartbeat}) {
			t.Errorf("it answers %v", got)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := o.types(); !slices.Equal(got, []cluster.Type{cluster.Heartbeat}) {
			t.Errorf("after five seconds it says %v", got)
		}
		h.broker(n.cluster.Status().Server).in.Connected(true)
		synctest.Wait()
		if got := o.types(); !slices.Equal(got, []cluster.Type{cluster.InitialHeartbeat}) {
			t.Errorf("after the broker was lost it says %v", got)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := o.types(); !slices.Equal(got, []cluster.Type{cluster.AdapterClose}) {
			t.Errorf("it leaves with %v", got)
		}
	})
}

// Official servers are counted by their heartbeats: nobody waits for those that have left, or
// have been silent for too long.
func TestOfficialServersAreCountedByHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.uncounted = true
		n, other := joinWithHeartbeats(t, h), joinWithHeartbeats(t, h)
		o := addAnnouncing(t, h)
		ask := func(missing int) {
			t.Helper()
			clients, err := n.ask(t.Context())
			var who *adapter.MissingError
			if clients != 1 || missing == 0 && err != nil || missing > 0 && (!errors.As(err, &who) || who.Unknown != missing || len(who.Servers) > 0) {
				t.Errorf("%d clients, %v", clients, err)
			}
		}
		ask(0)
		o.say(cluster.InitialHeartbeat)
		ask(1)
		o.say(cluster.AdapterClose)
		ask(0)
		o.say(cluster.Heartbeat)
		start := time.Now()
		time.Sleep(7 * time.Second)
		ask(0) // it is struck off meanwhile
		if d := time.Since(start); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("it was waited for until %v after its heartbeat", d)
		}
		if got := len(n.cluster.Status().Members); got != 1 {
			t.Errorf("%d members", got)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}
